package helm_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vstream/internal/kubetest"
)

// Names that users have in their scripts, as the kustomize base has them.
const (
	name      = "vsphere-event-stream"
	namespace = "vcenter-stream"
)

// render renders an example with more values, and checks what holds for whatever is rendered.
func render(t *testing.T, example, more string) []runtime.Object {
	t.Helper()
	text, errs, err := run(t, append([]string{"template", "vstream"}, arguments(t, example, more)...)...)
	if err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	objects, err := kubetest.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, o := range objects {
		meta := o.(metav1.Object)
		if meta.GetNamespace() != namespace || !strings.HasPrefix(meta.GetName(), name) {
			t.Errorf("%T %s/%s: want the namespace %s and a name that begins with %s", o, meta.GetNamespace(), meta.GetName(), namespace, name)
		}
		for label, value := range meta.GetLabels() {
			if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
				t.Errorf("%T %s: the label %s is %q: %v", o, meta.GetName(), label, value, wrong)
			}
		}
	}
	kind, template, selector := workload(t, objects)
	if !kubetest.Selects(selector, template.Labels) {
		t.Errorf("the %s does not select its own pods", kind)
	}
	if service := kubetest.Find[*corev1.Service](objects, name); service == nil || !kubetest.Selects(service.Spec.Selector, template.Labels) {
		t.Errorf("no Service %s that selects the pods", name)
	}
	kubetest.CheckServer(t, template.Spec)
	checkEnvironment(t, template.Spec.Containers[0])
	checkMounts(t, template.Spec)
	return objects
}

// workload returns what makes the pods: the Deployment or the StatefulSet, one of the two.
func workload(t *testing.T, objects []runtime.Object) (kind string, pod corev1.PodTemplateSpec, selector map[string]string) {
	t.Helper()
	d, s := kubetest.Find[*appsv1.Deployment](objects, name), kubetest.Find[*appsv1.StatefulSet](objects, name)
	switch {
	case d != nil && s == nil:
		return "Deployment", d.Spec.Template, d.Spec.Selector.MatchLabels
	case s != nil && d == nil:
		return "StatefulSet", s.Spec.Template, s.Spec.Selector.MatchLabels
	}
	t.Fatalf("want either a Deployment or a StatefulSet %s", name)
	return "", corev1.PodTemplateSpec{}, nil
}

func container(t *testing.T, objects []runtime.Object) corev1.Container {
	t.Helper()
	_, pod, _ := workload(t, objects)
	return pod.Spec.Containers[0]
}

// checkEnvironment checks that vstream knows each variable, and that none is there twice.
func checkEnvironment(t *testing.T, c corev1.Container) {
	t.Helper()
	manual := read(t, "../../docs/configuration.md")
	seen := map[string]bool{}
	for _, e := range c.Env {
		if seen[e.Name] {
			t.Errorf("the variable %s is there twice", e.Name)
		}
		seen[e.Name] = true
		if !strings.Contains(manual, "`"+e.Name+"`") && e.Name != "GOMEMLIMIT" && !strings.HasPrefix(e.Name, "EXTRA_") {
			t.Errorf("vstream knows no environment variable %s", e.Name)
		}
	}
}

// checkMounts checks that each volume is mounted and each mount has a volume, and that each file
// that the environment names is in a mount.
func checkMounts(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	for _, v := range pod.Volumes {
		if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name }) {
			t.Errorf("volume %s is mounted nowhere", v.Name)
		}
		if v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440) {
			t.Errorf("volume %s: want the files of the secret with mode 0440", v.Name)
		}
	}
	for _, e := range c.Env {
		if strings.HasPrefix(e.Value, "/") && !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
			return e.Value == m.MountPath || strings.HasPrefix(e.Value, m.MountPath+"/")
		}) {
			t.Errorf("%s is %s, where nothing is mounted", e.Name, e.Value)
		}
	}
}

func TestTheExamplesPassTheLinter(t *testing.T) {
	for _, example := range []string{"memory", "durable", "cluster"} {
		if out, errs, err := run(t, append([]string{"lint", "--strict"}, arguments(t, example, "")...)...); err != nil {
			t.Errorf("%s: %v\n%s%s", example, err, out, errs)
		}
	}
}

func TestByDefaultTheModeMemoryIsTheKustomizeBase(t *testing.T) {
	objects := render(t, "memory", "")
	d := kubetest.Find[*appsv1.Deployment](objects, name)
	if d == nil || *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Fatal("want a Deployment of one replica that is replaced by stopping it first")
	}
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	kubetest.CheckRestricted(t, pod)
	kubetest.CheckProbes(t, c)
	kubetest.CheckPort(t, kubetest.Find[*corev1.Service](objects, name), c, 80, 8080)
	kubetest.CheckSecretMount(t, pod, c, "vsphere-credentials", "/var/bindings/vsphere")
	if account := kubetest.Find[*corev1.ServiceAccount](objects, pod.ServiceAccountName); account == nil || *account.AutomountServiceAccountToken {
		t.Error("no service account of its own that mounts no token")
	}
	for _, o := range objects {
		switch o.(type) {
		case *corev1.Secret, *corev1.ConfigMap, *policyv1.PodDisruptionBudget, *networkingv1.Ingress:
			t.Errorf("there is a %T, which nobody asked for", o)
		}
	}
}

func TestTheModeDurableKeepsItsLogOnAVolume(t *testing.T) {
	objects := render(t, "durable", "")
	s := kubetest.Find[*appsv1.StatefulSet](objects, name)
	if s == nil || *s.Spec.Replicas != 1 || len(s.Spec.VolumeClaimTemplates) != 1 || s.Spec.ServiceName != name {
		t.Fatal("want a StatefulSet of one replica with a claim and the Service")
	}
	if s.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		t.Error("a pod that never gets ready is not replaced by a rollback: Kubernetes waits for it")
	}
	pod := s.Spec.Template.Spec
	c := pod.Containers[0]
	kubetest.CheckRestricted(t, pod)
	kubetest.CheckProbes(t, c)
	claim := s.Spec.VolumeClaimTemplates[0]
	if got := claim.Spec.Resources.Requests.Storage().String(); got != "30Gi" {
		t.Errorf("the claim is for %s, want 30Gi", got)
	}
	if s.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
		t.Error("the log is deleted with the release")
	}
	if dir := kubetest.Env(c, "LOG_DIR"); !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.Name == claim.Name && m.MountPath == dir && !m.ReadOnly
	}) {
		t.Errorf("the volume is not mounted at LOG_DIR, %q", dir)
	}

	s = kubetest.Find[*appsv1.StatefulSet](render(t, "durable", "persistence: {existingClaim: mine}"), name)
	if len(s.Spec.VolumeClaimTemplates) != 0 || !slices.ContainsFunc(s.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "mine"
	}) {
		t.Error("with existingClaim, that claim and no other should be the volume")
	}
}

func TestTheModeClusterSharesNATSAmongReplicas(t *testing.T) {
	objects := render(t, "cluster", "")
	d := kubetest.Find[*appsv1.Deployment](objects, name)
	if d == nil || *d.Spec.Replicas != 3 || d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Fatal("want a Deployment of three replicas of which none is missing while they are replaced")
	}
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	kubetest.CheckRestricted(t, pod)
	kubetest.CheckProbes(t, c)
	for secret, path := range map[string]string{
		"vc1-credentials": "/var/bindings/vc1", "vc2-credentials": "/var/bindings/vc2",
		"vstream-nats": "/etc/vstream/nats", "vstream-tokens": "/etc/vstream/tokens", "vstream-tls": "/etc/vstream/tls",
	} {
		kubetest.CheckSecretMount(t, pod, c, secret, path)
	}
	if c.ReadinessProbe.HTTPGet.Scheme != corev1.URISchemeHTTPS {
		t.Error("vstream serves TLS, but is probed without")
	}
	if len(pod.TopologySpreadConstraints) != 2 {
		t.Error("the replicas are not spread over nodes and zones")
	}
	if c.Lifecycle == nil || c.Lifecycle.PreStop.Sleep == nil || c.Lifecycle.PreStop.Sleep.Seconds+2 >= *pod.TerminationGracePeriodSeconds {
		t.Error("a replica that is replaced is asked to stop while proxies still send to it, or killed before it has")
	}
	for _, spread := range pod.TopologySpreadConstraints {
		if !kubetest.Selects(spread.LabelSelector.MatchLabels, d.Spec.Template.Labels) {
			t.Error("what is spread is not the pods")
		}
	}

	budget := kubetest.Find[*policyv1.PodDisruptionBudget](objects, name)
	if budget == nil || budget.Spec.MaxUnavailable.IntValue() != 1 || !kubetest.Selects(budget.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
		t.Error("no budget that lets one pod go at a time")
	}
	if kubetest.Find[*policyv1.PodDisruptionBudget](render(t, "cluster", "replicas: 1"), name) != nil {
		t.Error("a budget for one replica keeps its node from being drained")
	}

	monitor := kubetest.Find[*monitoringv1.ServiceMonitor](objects, name)
	if monitor == nil || !kubetest.Selects(monitor.Spec.Selector.MatchLabels, kubetest.Find[*corev1.Service](objects, name).Labels) ||
		monitor.Spec.Endpoints[0].Port != "http" || monitor.Spec.Endpoints[0].Authorization.Credentials.Name != "vstream-prometheus" {
		t.Error("no ServiceMonitor that finds the Service and has a token")
	}
	// Pods are scraped by their addresses.
	if got := monitor.Spec.Endpoints[0].TLSConfig.ServerName; got == nil || *got != "vsphere-event-stream.vcenter-stream.svc" {
		t.Error("Prometheus does not look for the Service's name in the certificate")
	}
	monitor = kubetest.Find[*monitoringv1.ServiceMonitor](render(t, "cluster", "serviceMonitor: {tlsConfig: {serverName: vstream.example.com}}"), name)
	if got := monitor.Spec.Endpoints[0].TLSConfig; *got.ServerName != "vstream.example.com" || got.CA.ConfigMap == nil {
		t.Errorf("Prometheus looks for the name %s in the certificate, not for the one that it was told", *got.ServerName)
	}
	rule := kubetest.Find[*monitoringv1.PrometheusRule](objects, name)
	if rule == nil || len(rule.Spec.Groups) == 0 || len(rule.Spec.Groups[0].Rules) == 0 {
		t.Error("no PrometheusRule with rules")
	}
	dashboard := kubetest.Find[*corev1.ConfigMap](objects, name+"-dashboard")
	if dashboard == nil || dashboard.Labels["grafana_dashboard"] != "1" ||
		strings.TrimSpace(dashboard.Data["vstream.json"]) != strings.TrimSpace(read(t, "../grafana/dashboard.json")) {
		t.Error("no ConfigMap with the dashboard as it is")
	}

	route := kubetest.Find[*gatewayv1.HTTPRoute](objects, name)
	if route == nil || *route.Spec.Rules[0].Timeouts.Request != "0s" || *route.Spec.Rules[0].Timeouts.BackendRequest != "0s" ||
		route.Spec.Rules[0].BackendRefs[0].Name != name || *route.Spec.Rules[0].BackendRefs[0].Port != 80 {
		t.Error("no HTTPRoute to the Service, without a limit of time")
	}
	test := kubetest.Find[*corev1.Pod](objects, name+"-test")
	if test == nil || test.Annotations["helm.sh/hook"] != "test" {
		t.Fatal("no pod for helm test")
	}
	kubetest.CheckRestricted(t, test.Spec)
	if args := test.Spec.Containers[0].Args; args[0] != "status" || !slices.Contains(args, "--server=https://vsphere-event-stream.vcenter-stream.svc:80") {
		t.Errorf("the test runs %q", args)
	}
}

func TestSeveralVCentersAreInAFileThatVstreamKnows(t *testing.T) {
	objects := render(t, "cluster", "")
	file := kubetest.Find[*corev1.ConfigMap](objects, name+"-config")
	if file == nil {
		t.Fatal("no ConfigMap with the configuration file")
	}
	var config struct {
		VCenters []map[string]any `yaml:"vcenters"`
		Views    []map[string]string
	}
	if err := yaml.Unmarshal([]byte(file.Data["vstream.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	if len(config.VCenters) != 2 || len(config.Views) != 1 {
		t.Fatalf("the file has %d vCenters and %d views, want 2 and 1", len(config.VCenters), len(config.Views))
	}
	manual := read(t, "../../docs/configuration.md")
	for _, vcenter := range config.VCenters {
		for key := range vcenter {
			if !strings.Contains(manual, "`vcenters[]."+key+"`") {
				t.Errorf("vstream knows no setting vcenters[].%s", key)
			}
		}
	}
	if got, want := config.VCenters[0]["secretPath"], "/var/bindings/vc1"; got != want {
		t.Errorf("secretPath is %v, want %s", got, want)
	}
	c := container(t, objects)
	if kubetest.Env(c, "VCENTER_URL") != "" || kubetest.Env(c, "VSTREAM_CONFIG") == "" {
		t.Error("the vCenters are described by the file and the environment both, or by neither")
	}
	_, before, _ := workload(t, objects)
	_, after, _ := workload(t, render(t, "cluster", "config: {views: []}"))
	if before.Annotations["checksum/config"] == after.Annotations["checksum/config"] {
		t.Error("another file does not replace the pods")
	}
}

func TestNoSecretIsAnywhereButInASecret(t *testing.T) {
	for example, more := range map[string]string{
		"memory": "vcenter: {username: the-user, password: the-password}",
		"cluster": `
vcenters:
  - {name: vc1, url: "https://vc1.example.com", username: the-user, password: the-password}`,
	} {
		objects := render(t, example, more)
		found := false
		for _, o := range objects {
			if s, ok := o.(*corev1.Secret); ok {
				found = found || s.StringData["username"] == "the-user" && s.StringData["password"] == "the-password"
				s.StringData = nil
				_, pod, _ := workload(t, objects)
				if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == s.Name }) {
					t.Errorf("the Secret %s is not mounted", s.Name)
				}
			}
			text, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "the-user") || strings.Contains(string(text), "the-password") {
				t.Errorf("%s: a credential is in a %T outside of its data", example, o)
			}
		}
		if !found {
			t.Errorf("%s: no Secret with the credentials", example)
		}
	}
}

func TestProxiesPassStreamsOn(t *testing.T) {
	const values = "ingress: {enabled: true, className: nginx, hosts: [vstream.example.com], annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: '7200', mine: x}}"
	ingress := kubetest.Find[*networkingv1.Ingress](render(t, "memory", values), name)
	if ingress == nil {
		t.Fatal("no Ingress")
	}
	for annotation, want := range map[string]string{
		"proxy-buffering": "off", "proxy-http-version": "1.1", "proxy-send-timeout": "3600", "backend-protocol": "HTTP",
		"proxy-read-timeout": "7200", // the user's
	} {
		if got := ingress.Annotations["nginx.ingress.kubernetes.io/"+annotation]; got != want {
			t.Errorf("the annotation %s is %q, want %q", annotation, got, want)
		}
	}
	if ingress.Annotations["mine"] != "x" || ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name != name {
		t.Error("the Ingress does not lead to the Service, or lacks the user's annotation")
	}
	ingress = kubetest.Find[*networkingv1.Ingress](render(t, "memory", values+"\ntls: {existingSecret: t}"), name)
	if got := ingress.Annotations["nginx.ingress.kubernetes.io/backend-protocol"]; got != "HTTPS" {
		t.Errorf("vstream serves TLS, but the proxy speaks %s", got)
	}
}

func TestTheNetworkPolicyAllowsWhatTheAddressesSay(t *testing.T) {
	ports := func(p networkingv1.NetworkPolicyEgressRule) []int {
		var all []int
		for _, port := range p.Ports {
			all = append(all, port.Port.IntValue())
		}
		return all
	}
	objects := render(t, "cluster", "auth: {oidcIssuer: 'https://login.example.com:9443/realms/main', oidcAudience: vstream}\nnetworkPolicy: {egressTo: [{ipBlock: {cidr: 10.0.0.0/8}}]}")
	policy := kubetest.Find[*networkingv1.NetworkPolicy](objects, name)
	_, pod, _ := workload(t, objects)
	if policy == nil || !kubetest.Selects(policy.Spec.PodSelector.MatchLabels, pod.Labels) || len(policy.Spec.PolicyTypes) != 2 {
		t.Fatal("no NetworkPolicy for the pods, in both directions")
	}
	if got := ports(policy.Spec.Egress[1]); !slices.Equal(got, []int{443, 8443, 4222, 9443}) {
		t.Errorf("traffic out is allowed on the ports %v, want 443, 8443, 4222 and 9443", got)
	}
	if policy.Spec.Egress[1].To[0].IPBlock.CIDR != "10.0.0.0/8" {
		t.Error("traffic out is not limited to egressTo")
	}
	if len(policy.Spec.Ingress) != 1 || policy.Spec.Ingress[0].Ports[0].Port.String() != "http" || len(policy.Spec.Ingress[0].From) != 3 {
		t.Fatal("traffic in is not limited to the port, to ingressFrom and to the pod of helm test")
	}
	if from := policy.Spec.Ingress[0].From[2]; from.NamespaceSelector != nil || from.PodSelector == nil ||
		!kubetest.Selects(from.PodSelector.MatchLabels, kubetest.Find[*corev1.Pod](objects, name+"-test").Labels) {
		t.Error("the pod of helm test does not reach the port")
	}
	policy = kubetest.Find[*networkingv1.NetworkPolicy](render(t, "cluster", "test: {enabled: false}"), name)
	if len(policy.Spec.Ingress[0].From) != 2 {
		t.Error("there is no pod of helm test, but something else than ingressFrom may come in")
	}
	for _, o := range render(t, "memory", "networkPolicy: {enabled: false}") {
		if _, is := o.(*networkingv1.NetworkPolicy); is {
			t.Error("there is a NetworkPolicy, though it is switched off")
		}
	}
	if got := ports(kubetest.Find[*networkingv1.NetworkPolicy](render(t, "memory", ""), name).Spec.Egress[1]); !slices.Equal(got, []int{443}) {
		t.Errorf("for one vCenter the ports are %v, want 443", got)
	}
}

func TestEveryValueOfTheServerReachesIt(t *testing.T) {
	c := container(t, render(t, "cluster", `
vcenters: []
vcenter: {url: "https://vc.example.com", name: vc, thumbprint: "", caConfigMap: ca, begin: 1d, typePrefix: com.example, existingSecret: s}
config: null
log: {retention: 30d, maxBytes: 4GiB, segmentSize: 1000000, maxRecordSizeBytes: 1048576, indexMaxEvents: 3000000}
nats: {logReplicas: 3}
auth: {oidcIssuer: https://login.example.com, oidcAudience: vstream}
tls: {clientCAConfigMap: people}
corsOrigins: https://ui.example.com
limits: {watchMax: 1000000, watchMaxPerClient: 5, requestRatePerClient: 2.5}
watchMaxAge: 1h
debug: true
extraEnv: [{name: EXTRA_ONE, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
`))
	want := map[string]string{
		"VCENTER_URL": "https://vc.example.com", "VCENTER_NAME": "vc", "VCENTER_CA_FILE": "/etc/vstream/vsphere-credentials/ca.crt",
		"VCENTER_SECRET_PATH": "/var/bindings/vsphere", "VCENTER_STREAM_BEGIN": "1d", "CLOUDEVENT_TYPE_PREFIX": "com.example",
		"LOG_RETENTION": "30d", "LOG_MAX_BYTES": "4GiB", "LOG_MAX_SEGMENT_SIZE": "1000000", "LOG_MAX_RECORD_SIZE_BYTES": "1048576", "INDEX_MAX_EVENTS": "3000000",
		"NATS_URL": "tls://nats.nats.svc:4222", "NATS_CREDENTIALS_FILE": "/etc/vstream/nats/nats.creds", "NATS_CA_FILE": "/etc/vstream/nats-ca/ca.crt", "LOG_REPLICAS": "3",
		"AUTH_TOKENS_FILE": "/etc/vstream/tokens/tokens", "OIDC_ISSUER": "https://login.example.com", "OIDC_AUDIENCE": "vstream",
		"TLS_CERT_FILE": "/etc/vstream/tls/tls.crt", "TLS_KEY_FILE": "/etc/vstream/tls/tls.key", "TLS_CLIENT_CA_FILE": "/etc/vstream/client-ca/ca.crt",
		"CORS_ORIGINS": "https://ui.example.com", "WATCH_MAX": "1000000", "WATCH_MAX_PER_CLIENT": "5", "REQUEST_RATE_PER_CLIENT": "2.5",
		"WATCH_MAX_AGE": "1h", "DEBUG": "true", "GOMEMLIMIT": "1152MiB", "EXTRA_ONE": "",
	}
	got := map[string]string{}
	for _, e := range c.Env {
		got[e.Name] = e.Value
	}
	if !maps.Equal(got, want) {
		t.Errorf("the environment is\n%v\nwant\n%v", got, want)
	}
	// What the chart can not tell, and each with the reason.
	for _, missing := range []string{"VCENTER_INSECURE", "VCENTER_THUMBPRINT" /* exclude VCENTER_CA_FILE */, "LOG_DIR" /* excludes NATS_URL */, "PORT" /* always 8080 */} {
		want[missing] = ""
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| `").FindAllStringSubmatch(read(t, "../../docs/configuration.md"), -1) {
		if _, ok := want[m[1]]; !ok {
			t.Errorf("the chart has no value for %s", m[1])
		}
	}
}

func TestContradictionsAreRefusedWithWhatToDo(t *testing.T) {
	for _, test := range []struct{ example, values, message string }{
		{"memory", "replicas: 2", "replicas is 2, but in the mode memory the log belongs to one pod; set replicas to 1, or mode to cluster and nats.url"},
		{"durable", "replicas: 3", "replicas is 3, but in the mode durable"},
		{"durable", "persistence: {size: ''}", "there is no volume; set persistence.size or persistence.existingClaim"},
		{"durable", "log: {maxBytes: 30GiB}", "persistence.size is 30Gi, but the log of each of 1 vCenter(s) may take 30GiB; make the volume larger"},
		{"cluster", "nats: {url: ''}", "nats.url is not set; set it to your NATS servers"},
		{"cluster", "nats: {url: 'nats://a:4222,b:4222'}", `nats.url: "b:4222" is not the address of a NATS server; write it as nats://nats.nats.svc:4222`},
		{"memory", "nats: {url: 'nats://nats:4222'}", "nats.url is set, but mode is memory; set mode to cluster, or remove it"},
		{"cluster", "nats: {url: 'nats://me:s3cret@nats:4222'}", "put credentials into the Secret nats.credentialsSecret"},
		{"memory", "log: {retention: 7d}", "log.retention is for the modes durable and cluster, but mode is memory"},
		{"memory", "image: {repository: ''}", "image.repository is not set"},
		{"memory", "image: {repository: 'localhost:5000/vstream:v1'}", "image.repository is localhost:5000/vstream:v1, with a tag; put that into image.tag"},
		{"memory", "image: {tag: ''}", "set image.tag or image.digest"},
		{"memory", "image: {digest: 'sha256:" + strings.Repeat("0", 64) + "'}", "image.tag and image.digest both say which image"},
		{"memory", "vcenter: {url: ''}", "vcenter.url is not set"},
		{"memory", "vcenter: {url: 'https://me:s3cret@vc'}", "vcenter.url holds a user or a password"},
		{"memory", "vcenters: [{name: a, url: 'https://a', existingSecret: a}]", "vcenter.url and vcenters both say which vCenters to read"},
		{"cluster", "vcenters: [{name: a, url: 'https://a', existingSecret: a}, {name: a, url: 'https://b', existingSecret: b}]", "another vCenter is named a already"},
		{"cluster", "vcenters: [{name: a, url: 'https://a'}]", "neither existingSecret nor username and password"},
		{"memory", "vcenter: {existingSecret: a, username: u, password: s3cret}", "vcenter.existingSecret and vcenter.username or password both say who reads"},
		{"memory", "vcenter: {password: s3cret}", "vcenter.username and vcenter.password go together"},
		{"memory", "vcenter: {insecure: true, caConfigMap: ca}", "vcenter.insecure and vcenter.caConfigMap say different things about whom to trust"},
		{"memory", "goMemLimit: 1280MiB", "goMemLimit is 1280MiB, but resources.limits.memory is 1280Mi; leave goMemLimit out"},
		{"memory", "resources: {limits: {memory: '1e9'}}", "resources.limits.memory: 1e9 is no size that the chart can read"},
		{"memory", "config: {log: {retention: 7d}}", "config.log: the chart has values for it"},
		{"memory", "extraEnv: [{name: VCENTER_URL, value: 'https://x'}]", "extraEnv[0]: VCENTER_URL is set by the chart"},
		{"memory", "auth: {oidcIssuer: 'https://login'}", "auth.oidcAudience is not"},
		{"memory", "auth: {oidcAudience: x}", "auth.oidcIssuer is not; set both"},
		{"memory", "tls: {clientCAConfigMap: ca}", "client certificates need TLS"},
		{"durable", "podLabels: {app.kubernetes.io/name: mine}", "podLabels.app.kubernetes.io/name: by this label the pods are found"},
		{"memory", "corsOrigins: '*'\nauth: {tokensSecret: t}", "corsOrigins is *, but somebody has to authenticate"},
		{"memory", "ingress: {enabled: true}", "ingress.hosts is empty"},
		{"memory", "httpRoute: {enabled: true}", "httpRoute.parentRefs is empty"},
		{"cluster", "serviceMonitor: {tokenSecret: null}", "give Prometheus a token of its own"},
		{"cluster", "serviceMonitor: {tlsConfig: null}", "serviceMonitor.tlsConfig is not set"},

		// By the schema, with the place of the mistake.
		{"memory", "replica: 1", "additional properties 'replica' not allowed"},
		{"memory", "vcenter: {ulr: x}", "at '/vcenter': additional properties 'ulr' not allowed"},
		{"cluster", "vcenters: [{name: a, url: 'https://a', secret: a}]", "additional properties 'secret' not allowed"},
		{"cluster", "vcenters: [{url: 'https://a', existingSecret: a}]", "missing property 'name'"},
		{"memory", "mode: big", "at '/mode': value must be one of 'memory', 'durable', 'cluster'"},
		{"memory", "replicas: 0", "at '/replicas'"},
		{"memory", "replicas: '1'", "at '/replicas': got string, want integer"},
		{"memory", "vcenter: {begin: soon}", "at '/vcenter/begin'"},
		{"memory", "vcenter: {thumbprint: 'AA:BB'}", "at '/vcenter/thumbprint'"},
		{"memory", "vcenter: {url: vcenter.example.com}", "at '/vcenter/url'"},
		{"durable", "log: {maxBytes: much}", "at '/log/maxBytes'"},
		{"durable", "persistence: {accessMode: ReadWriteMany}", "at '/persistence/accessMode'"},
		{"memory", "goMemLimit: 690Mi", "at '/goMemLimit'"},
		{"cluster", "terminationGracePeriodSeconds: 6", "at '/terminationGracePeriodSeconds'"},
		{"memory", "debug: 'yes'", "at '/debug': got string, want boolean"},
	} {
		out, errs, err := run(t, append([]string{"template", "vstream"}, arguments(t, test.example, test.values)...)...)
		if err == nil || !strings.Contains(errs, test.message) {
			t.Errorf("%s with %s: want a refusal with %q, got %v:\n%s", test.example, test.values, test.message, err, errs)
		}
		if strings.Contains(out+errs, "s3cret") {
			t.Errorf("%s: the refusal repeats the password:\n%s", test.values, errs)
		}
	}
}

func TestTheNotesSayWhatIsNextAndWhatIsDangerous(t *testing.T) {
	for _, test := range []struct {
		example, values string
		want, not       []string
	}{
		{"memory", "", []string{"create secret generic vsphere-credentials", "rollout status deployment/vsphere-event-stream", "helm test vstream", "whoever reaches the port reads all events", "its log is in memory"}, []string{"%!", "token or a certificate"}},
		{"durable", "vcenter: {insecure: true, username: u, password: s3cret}", []string{"statefulset/vsphere-event-stream", "any certificate of https://vcenter.example.com is trusted", "the password for https://vcenter.example.com is in the values"}, []string{"create secret", "s3cret"}},
		{"cluster", "replicas: 1", []string{"create secret generic vc2-credentials", "Set replicas to 3", "BackendTLSPolicy", "https://localhost:8080"}, []string{"whoever reaches"}},
	} {
		out, errs, err := run(t, append([]string{"install", "--dry-run=client", "vstream"}, arguments(t, test.example, test.values)...)...)
		if err != nil {
			t.Fatalf("%v: %s", err, errs)
		}
		_, notes, _ := strings.Cut(out, "NOTES:\n")
		for _, want := range test.want {
			if !strings.Contains(strings.ToLower(notes), strings.ToLower(want)) {
				t.Errorf("%s: the notes do not say %q:\n%s", test.example, want, notes)
			}
		}
		for _, not := range test.not {
			if strings.Contains(notes, not) {
				t.Errorf("%s: the notes say %q:\n%s", test.example, not, notes)
			}
		}
	}
}

func TestTheTestPodIsThereWhereItCanPass(t *testing.T) {
	for values, want := range map[string]bool{
		"":                        true,
		"test: {enabled: false}":  false,
		"auth: {tokensSecret: t}": false,
		"auth: {tokensSecret: t}\ntest: {tokenSecret: {name: mine, key: token}}": true,
		// A token where only certificates let in.
		"tls: {existingSecret: t, clientCAConfigMap: ca}\ntest: {caConfigMap: ca, tokenSecret: {name: mine, key: token}}": false,
		"tls: {existingSecret: t}":                          false,
		"tls: {existingSecret: t}\ntest: {caConfigMap: ca}": true,
	} {
		if got := kubetest.Find[*corev1.Pod](render(t, "memory", values), name+"-test") != nil; got != want {
			t.Errorf("with %q there is a test pod: %v, want %v", values, got, want)
		}
	}
}

func TestTheGarbageCollectorKnowsTheLimitOfMemory(t *testing.T) {
	for values, want := range map[string]string{
		"resources: {limits: {memory: 4Gi}}":                      "3686MiB",
		"resources: {limits: {memory: 500M}}":                     "429MiB",
		"resources: {limits: {memory: 2147483648}}":               "1843MiB",
		"resources: {limits: {memory: 1.5Gi}}":                    "1382MiB",
		"resources: {limits: {memory: 2Gi}}\ngoMemLimit: 1700MiB": "1700MiB",
	} {
		if got := kubetest.Env(container(t, render(t, "memory", values)), "GOMEMLIMIT"); got != want {
			t.Errorf("with %q GOMEMLIMIT is %q, want %q", values, got, want)
		}
	}
}

func TestOnlyReplicasWaitBeforeTheyStop(t *testing.T) {
	for _, example := range []string{"memory", "durable"} {
		if c := container(t, render(t, example, "")); c.Lifecycle != nil {
			t.Errorf("%s: the only pod goes on for nobody before it is replaced", example)
		}
	}
	// Which refuses a pod with it.
	out, errs, err := run(t, append([]string{"template", "vstream", "--kube-version", "v1.29.9"}, arguments(t, "cluster", "")...)...)
	if err != nil || strings.Contains(out, "preStop") {
		t.Errorf("Kubernetes 1.29 gets what it does not know (%v %s)", err, errs)
	}
}

func TestTheSchemaTakesTimesAsVstreamDoes(t *testing.T) {
	for _, text := range []string{"5m", "1h30m", "7d", "1d12h", "2w", "1w2d3h", "1.5h", "0"} {
		c := container(t, render(t, "durable", "log: {retention: '"+text+"'}\nvcenter: {begin: '"+text+"'}"))
		if kubetest.Env(c, "LOG_RETENTION") != text || kubetest.Env(c, "VCENTER_STREAM_BEGIN") != text {
			t.Errorf("%s does not reach vstream", text)
		}
	}
}

func TestNamesThatLookLikeNumbersStayNames(t *testing.T) {
	for _, example := range []string{"memory", "durable", "cluster"} {
		more := "name: 'yes'\nserviceAccount: {name: '1'}\npriorityClassName: '2'\nauth: {tokensSecret: '3'}\ntls: {existingSecret: '4', clientCAConfigMap: '1e5'}\n" +
			"test: {tokenSecret: {name: '6', key: token}, caConfigMap: '7'}\ningress: {enabled: true, className: '8', hosts: ['9']}"
		switch example {
		case "memory":
			more += "\nvcenter: {existingSecret: '10'}"
		case "durable":
			more += "\npersistence: {storageClass: '11'}"
		}
		text, errs, err := run(t, append([]string{"template", "12"}, append(arguments(t, example, more), "--namespace", "13")...)...)
		if err != nil {
			t.Fatalf("%s: %v: %s", example, err, errs)
		}
		if _, err := kubetest.Decode([]byte(text)); err != nil {
			t.Errorf("%s: %v in\n%s", example, err, text)
		}
	}
}

// A value without anything behind its colon is null, and Helm takes its key away.
func TestAValueLeftBlankIsNotSetOrRefusedByItsName(t *testing.T) {
	blank := func(paths []string) string {
		var b strings.Builder
		group := ""
		for _, path := range paths { // as values.yaml has them, so those of a group stand together
			before, after, ok := strings.Cut(path, ".")
			switch {
			case !ok:
				b.WriteString(path + ":\n")
			case before != group:
				b.WriteString(before + ":\n")
				fallthrough
			default:
				b.WriteString("  " + after + ":\n")
			}
			group = before
		}
		return b.String()
	}
	empty := []string{`""`, "[]", "{}", "false", "0"}
	var optional, required, groups []string
	for _, v := range values(t) {
		switch {
		case slices.Contains([]string{"image.repository", "image.tag", "vcenter.url"}, v.path): // which the example sets
		case slices.Contains([]string{"vcenter.begin", "persistence.size", "dashboard.labels"}, v.path): // for which vstream has the same default; the others do nothing here
			optional = append(optional, v.path)
		case v.group || strings.HasPrefix(v.fallback, "{") && v.fallback != "{}":
			groups = append(groups, v.path)
		case slices.Contains(empty, v.fallback):
			optional = append(optional, v.path)
		default:
			required = append(required, v.path)
		}
	}
	template := func(more string) (string, string, error) {
		return run(t, append([]string{"template", "vstream"}, arguments(t, "memory", more)...)...)
	}
	want, _, _ := template("vcenter: {begin: null}")
	if have, errs, err := template(blank(optional)); err != nil || have != want {
		t.Errorf("with blank values (%v %s) the chart makes\n%s\nwant\n%s", err, errs, have, want)
	}
	for _, paths := range [][]string{required, groups} {
		_, errs, err := template(blank(paths))
		if err == nil {
			t.Errorf("blank values are taken: %v", paths)
		}
		for _, path := range paths {
			if !strings.Contains(errs, "'"+path[strings.LastIndex(path, ".")+1:]+"'") {
				t.Errorf("the refusal does not name %s:\n%s", path, errs)
			}
		}
	}
}

func TestTheInstructionsMakeAllThatTheExampleNames(t *testing.T) {
	objects := render(t, "cluster", "")
	_, pod, _ := workload(t, objects)
	manual := read(t, "../../docs/install.md")
	credentials := kubetest.Find[*monitoringv1.ServiceMonitor](objects, name).Spec.Endpoints[0].Authorization.Credentials
	names := []string{" secret generic " + credentials.Name + " "}
	for _, v := range slices.Concat(pod.Spec.Volumes, kubetest.Find[*corev1.Pod](objects, name+"-test").Spec.Volumes) {
		switch {
		case v.Secret != nil:
			names = append(names, " "+v.Secret.SecretName+" ")
		case v.ConfigMap != nil && v.ConfigMap.Name != name+"-config":
			names = append(names, " configmap "+v.ConfigMap.Name+" ")
		}
	}
	for _, name := range names {
		if !strings.Contains(manual, name) {
			t.Errorf("docs/install.md does not make%s", name)
		}
	}
}
