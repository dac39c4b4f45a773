// Package kubernetes_test holds the manifests to what the documentation promises.
package kubernetes_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Names that users have in their scripts and dashboards. They never change.
const (
	namespace  = "vcenter-stream"
	name       = "vsphere-event-stream" // of the Deployment and the Service
	secretName = "vsphere-credentials"
	secretPath = "/var/bindings/vsphere"
)

// The commands of the binary, and the environment variables it and its runtime know.
var (
	commands = []string{"serve", "simulate"}
	environ  = []string{
		"VCENTER_URL", "VCENTER_INSECURE", "VCENTER_CA_FILE", "VCENTER_THUMBPRINT",
		"VCENTER_SECRET_PATH", "VCENTER_STREAM_BEGIN",
		"LOG_MAX_RECORD_SIZE_BYTES", "LOG_MAX_SEGMENT_SIZE", "LOG_MAX_BYTES",
		"PORT", "DEBUG", "WATCH_MAX_AGE", "CLOUDEVENT_TYPE_PREFIX",
		"GOMEMLIMIT",
	}
)

var rendered = flag.String("rendered", "", "comma-separated `files`, each a whole rendered manifest, to check as well")

// TestManifestsInTheTree reads every YAML file as it lies in the tree, without
// kustomize, so that it runs wherever go test runs.
func TestManifestsInTheTree(t *testing.T) {
	var all []runtime.Object
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".yml":
			t.Errorf("%s: call it .yaml", path)
		case ".yaml":
			t.Run(path, func(t *testing.T) {
				if entry.Name() == "kustomization.yaml" {
					checkKustomization(t, path)
					return
				}
				objects := decodeFile(t, path)
				for _, o := range objects {
					checkObject(t, o)
				}
				if filepath.Dir(path) == "base" {
					all = append(all, objects...)
				}
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("base as a whole", func(t *testing.T) {
		checkInstallation(t, all)
		if s := find[*corev1.Secret](all, secretName); s != nil {
			t.Error("the base holds a secret: credentials do not belong into the tree")
		}
	})
}

// TestRenderedManifests checks what kustomize made of the tree; .ci/run names the files.
func TestRenderedManifests(t *testing.T) {
	if *rendered == "" {
		t.Skip("no -rendered files given")
	}
	for path := range strings.SplitSeq(*rendered, ",") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			objects := decodeFile(t, path)
			for _, o := range objects {
				checkObject(t, o)
			}
			checkInstallation(t, objects)
			if find[*appsv1.Deployment](objects, "vcsim") != nil {
				checkSimulator(t, objects)
			}
		})
	}
}

// TestManifestsWithMistakesAreRefused guards the guard: a decoder that lets mistakes
// pass would make the other tests worthless.
func TestManifestsWithMistakesAreRefused(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n"
	for mistake, text := range map[string]string{
		"unknown field":     service + "spec:\n  port: 80\n",
		"field in capitals": service + "spec:\n  Ports: []\n",
		"duplicate field":   service + "spec:\n  ports: []\n  ports: []\n",
		"wrong type":        service + "spec:\n  ports: 80\n",
		"unknown kind":      "apiVersion: v1\nkind: Frobnicator\n",
		"removed version":   "apiVersion: apps/v1beta1\nkind: Deployment\n",
	} {
		t.Run(mistake, func(t *testing.T) {
			if _, err := decode([]byte(text)); err == nil {
				t.Errorf("decoded without an error:\n%s", text)
			}
		})
	}
	if _, err := decode([]byte(service)); err != nil {
		t.Errorf("the text without a mistake: %v", err)
	}
}

// decoder knows the kinds we use, and takes unknown and duplicate fields for errors.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return kubejson.NewSerializerWithOptions(kubejson.DefaultMetaFactory, scheme, scheme,
		kubejson.SerializerOptions{Yaml: true, Strict: true})
}()

func decode(text []byte) ([]runtime.Object, error) {
	var objects []runtime.Object
	documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

func decodeFile(t *testing.T, path string) []runtime.Object {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(objects) == 0 {
		t.Fatalf("%s holds no manifest", path)
	}
	return objects
}

// kustomization is the part of kustomize's format that we use; anything else is an error.
type kustomization struct {
	APIVersion      string   `json:"apiVersion"`
	Kind            string   `json:"kind"`
	Namespace       string   `json:"namespace"`
	Resources       []string `json:"resources"`
	SecretGenerator []struct {
		Name     string   `json:"name"`
		Literals []string `json:"literals"`
	} `json:"secretGenerator"`
	GeneratorOptions struct {
		DisableNameSuffixHash bool `json:"disableNameSuffixHash"`
	} `json:"generatorOptions"`
	Patches []struct {
		Patch string `json:"patch"`
	} `json:"patches"`
}

func checkKustomization(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var k kustomization
	if err := yaml.UnmarshalStrict(text, &k); err != nil {
		t.Fatal(err)
	}
	if k.APIVersion != "kustomize.config.k8s.io/v1beta1" || k.Kind != "Kustomization" {
		t.Errorf("is a %s of %s, want a Kustomization of kustomize.config.k8s.io/v1beta1", k.Kind, k.APIVersion)
	}
	for _, resource := range k.Resources {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), resource)); err != nil {
			t.Errorf("resource: %v", err)
		}
	}
	// A file that is listed nowhere is installed nowhere.
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if base := filepath.Base(file); base != "kustomization.yaml" && !slices.Contains(k.Resources, base) {
			t.Errorf("%s is not among the resources", base)
		}
	}
	if len(k.SecretGenerator) > 0 && !k.GeneratorOptions.DisableNameSuffixHash {
		t.Error("a generated secret gets a suffix, but its name is documented")
	}
	for _, p := range k.Patches {
		objects, err := decode([]byte(p.Patch))
		if err != nil {
			t.Errorf("patch: %v", err)
		}
		for _, o := range objects {
			if d, ok := o.(*appsv1.Deployment); ok {
				checkEnvironment(t, d.Spec.Template.Spec)
			}
		}
	}
}

// checkObject checks what holds for every object on its own.
func checkObject(t *testing.T, o runtime.Object) {
	t.Helper()
	meta, ok := o.(metav1.Object)
	if !ok {
		t.Fatalf("%T has no metadata", o)
	}
	if _, is := o.(*corev1.Namespace); !is && meta.GetNamespace() != namespace {
		t.Errorf("%s is in the namespace %q, want %q", meta.GetName(), meta.GetNamespace(), namespace)
	}
	d, ok := o.(*appsv1.Deployment)
	if !ok {
		return
	}
	pod := d.Spec.Template.Spec
	if d.Spec.Replicas == nil || *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%s: what is kept in memory needs exactly one replica and the strategy Recreate", d.Name)
	}
	if !contains(d.Spec.Template.Labels, d.Spec.Selector.MatchLabels) {
		t.Errorf("%s: the selector does not match its own pods", d.Name)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: mounts a token of the cluster", d.Name)
	}
	if grace := pod.TerminationGracePeriodSeconds; grace == nil || *grace > 15 {
		t.Errorf("%s: terminationGracePeriodSeconds should be at most 15: a stop takes 2 s", d.Name)
	}
	checkEnvironment(t, pod)
	checkRestricted(t, pod)
	for _, c := range pod.Containers {
		if len(c.Args) == 0 || !slices.Contains(commands, c.Args[0]) {
			t.Errorf("container %s: args %q do not begin with one of the commands %q", c.Name, c.Args, commands)
		}
		for kind, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if probe == nil {
				t.Errorf("container %s: no %s probe", c.Name, kind)
			}
		}
		checkResources(t, c)
	}
}

func checkEnvironment(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	for _, c := range pod.Containers {
		for _, e := range c.Env {
			if !slices.Contains(environ, e.Name) {
				t.Errorf("container %s: vstream knows no environment variable %s", c.Name, e.Name)
			}
		}
	}
}

// checkRestricted checks the pod security standard "restricted", and a read-only root
// file system beyond it.
func checkRestricted(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("the pod shares a namespace of its host")
	}
	switch s := pod.SecurityContext; {
	case s == nil:
		t.Error("the pod has no securityContext")
	default:
		if s.RunAsNonRoot == nil || !*s.RunAsNonRoot {
			t.Error("the pod may run as root")
		}
		// The kubelet cannot tell from a user's name that it is not root.
		if s.RunAsUser == nil || *s.RunAsUser == 0 {
			t.Error("the pod names no user by its number")
		}
		if s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Error("the pod's seccompProfile is not RuntimeDefault")
		}
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			t.Errorf("volume %s is a path of the host", v.Name)
		}
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		s := c.SecurityContext
		if s == nil {
			t.Errorf("container %s has no securityContext", c.Name)
			continue
		}
		if s.Privileged != nil && *s.Privileged {
			t.Errorf("container %s is privileged", c.Name)
		}
		if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
			t.Errorf("container %s may escalate its privileges", c.Name)
		}
		if s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("container %s may write to its root file system", c.Name)
		}
		if s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
			t.Errorf("container %s keeps capabilities", c.Name)
		}
		if s.RunAsNonRoot != nil || s.RunAsUser != nil || s.SeccompProfile != nil {
			t.Errorf("container %s overrides the pod's securityContext, which is where we look", c.Name)
		}
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				t.Errorf("container %s takes port %d of its host", c.Name, p.HostPort)
			}
		}
	}
}

// checkResources checks that the scheduler knows what the container needs, and that the
// garbage collector knows how much it may use.
func checkResources(t *testing.T, c corev1.Container) {
	t.Helper()
	for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if request := c.Resources.Requests[r]; request.IsZero() {
			t.Errorf("container %s requests no %s", c.Name, r)
		}
	}
	limit := c.Resources.Limits.Memory().Value()
	if limit == 0 {
		t.Errorf("container %s has no memory limit", c.Name)
		return
	}
	soft := bytesOf(t, env(c, "GOMEMLIMIT"))
	if soft < limit/2 || soft > limit/100*95 {
		t.Errorf("container %s: GOMEMLIMIT is %d, want 50 to 95 %% of the memory limit %d", c.Name, soft, limit)
	}
	if log := env(c, "LOG_MAX_BYTES"); log != "" && soft < 2*bytesOf(t, log) {
		t.Errorf("container %s: GOMEMLIMIT is %d, want at least twice LOG_MAX_BYTES %s", c.Name, soft, log)
	}
}

// bytesOf reads a size as Go's runtime and vstream spell it.
func bytesOf(t *testing.T, size string) int64 {
	t.Helper()
	q, err := resource.ParseQuantity(strings.TrimSuffix(size, "B"))
	if err != nil {
		t.Errorf("size %q: %v", size, err)
	}
	return q.Value()
}

// checkInstallation checks the documented names, and that the objects fit together.
func checkInstallation(t *testing.T, objects []runtime.Object) {
	t.Helper()
	ns := find[*corev1.Namespace](objects, namespace)
	if ns == nil || ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("no Namespace %s that enforces the pod security standard restricted", namespace)
	}
	for _, service := range []string{name, "vcsim"} {
		s, d := find[*corev1.Service](objects, service), find[*appsv1.Deployment](objects, service)
		if s == nil && d == nil && service == "vcsim" {
			continue
		}
		if s == nil || d == nil {
			t.Fatalf("want a Service and a Deployment %s", service)
		}
		if !contains(d.Spec.Template.Labels, s.Spec.Selector) {
			t.Errorf("Service %s does not select the pods of its Deployment", service)
		}
		account := d.Spec.Template.Spec.ServiceAccountName
		if find[*corev1.ServiceAccount](objects, account) == nil {
			t.Errorf("Deployment %s wants a ServiceAccount %q, which is not there", service, account)
		}
	}

	if account := find[*corev1.ServiceAccount](objects, name); account == nil ||
		account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
		t.Errorf("no ServiceAccount %s that mounts no token", name)
	}

	pod := find[*appsv1.Deployment](objects, name).Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("Deployment %s has %d containers, want 1", name, len(pod.Containers))
	}
	c := pod.Containers[0]
	checkPort(t, find[*corev1.Service](objects, name), c, 80, 8080)
	if u := env(c, "VCENTER_URL"); !strings.HasPrefix(u, "https://") {
		t.Errorf("VCENTER_URL is %q, want an https URL", u)
	}
	if p := env(c, "PORT"); p != "" && p != "8080" {
		t.Errorf("PORT is %s, but the container's port 8080", p)
	}
	for probe, path := range map[*corev1.Probe]string{c.StartupProbe: "/healthz", c.LivenessProbe: "/healthz", c.ReadinessProbe: "/readyz"} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != "http" {
			t.Errorf("want a probe of %s on the port http, got %v", path, probe)
		}
	}
	checkSecretMount(t, pod, c)
}

func checkPort(t *testing.T, s *corev1.Service, c corev1.Container, servicePort, containerPort int32) {
	t.Helper()
	if len(s.Spec.Ports) != 1 || len(c.Ports) != 1 {
		t.Fatalf("Service %s has %d ports and its container %d, want 1 each", s.Name, len(s.Spec.Ports), len(c.Ports))
	}
	if got := s.Spec.Ports[0].Port; got != servicePort {
		t.Errorf("Service %s listens on port %d, want %d", s.Name, got, servicePort)
	}
	if got := c.Ports[0].ContainerPort; got != containerPort {
		t.Errorf("container %s listens on port %d, want %d", c.Name, got, containerPort)
	}
	if got := s.Spec.Ports[0].TargetPort.String(); got != c.Ports[0].Name {
		t.Errorf("Service %s leads to the port %s, but the container's is named %s", s.Name, got, c.Ports[0].Name)
	}
}

func checkSecretMount(t *testing.T, pod corev1.PodSpec, c corev1.Container) {
	t.Helper()
	if got := env(c, "VCENTER_SECRET_PATH"); got != "" && got != secretPath {
		t.Errorf("VCENTER_SECRET_PATH is %s, want %s", got, secretPath)
	}
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.Secret != nil && v.Secret.SecretName == secretName
	})
	if i < 0 {
		t.Fatalf("no volume of the secret %s", secretName)
	}
	v := pod.Volumes[i]
	// Its files belong to root; the group is what lets another user read them.
	if v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440 || pod.SecurityContext.FSGroup == nil {
		t.Error("want the secret's files with mode 0440 and an fsGroup")
	}
	if len(v.Secret.Items) > 0 {
		t.Error("the secret's keys are the documented ones already, map none")
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.Name == v.Name && m.MountPath == secretPath && m.ReadOnly && m.SubPath == ""
	}) {
		t.Errorf("the secret is not mounted read-only at %s", secretPath)
	}
}

// checkSimulator checks that what the overlay adds finds one another.
func checkSimulator(t *testing.T, objects []runtime.Object) {
	t.Helper()
	c := find[*appsv1.Deployment](objects, "vcsim").Spec.Template.Spec.Containers[0]
	checkPort(t, find[*corev1.Service](objects, "vcsim"), c, 443, 8989)
	if !slices.Contains(c.Args, ":8989") {
		t.Errorf("vcsim: args %q listen on another port than 8989", c.Args)
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" && !m.ReadOnly }) {
		t.Error("vcsim: nothing to write to is mounted at /tmp, and without it the simulator does not start")
	}
	stream := find[*appsv1.Deployment](objects, name).Spec.Template.Spec.Containers[0]
	if got, want := env(stream, "VCENTER_URL"), "https://vcsim."+namespace+".svc/sdk"; got != want {
		t.Errorf("VCENTER_URL is %s, want %s", got, want)
	}
	if got := env(stream, "VCENTER_INSECURE"); got != "true" {
		t.Errorf("VCENTER_INSECURE is %s, but nobody signed the simulator's certificate", got)
	}
	secret := find[*corev1.Secret](objects, secretName)
	if secret == nil || len(secret.Data["username"]) == 0 || len(secret.Data["password"]) == 0 || len(secret.Data) != 2 {
		t.Errorf("want a Secret %s with the keys username and password", secretName)
	}
}

// env returns the value of a variable, "" if it is not set.
func env(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// find returns the object of this type and name, or nil.
func find[T metav1.Object](objects []runtime.Object, name string) T {
	for _, o := range objects {
		if o, ok := o.(T); ok && o.GetName() == name {
			return o
		}
	}
	var none T
	return none
}

// contains reports whether all has everything of some, and some is not empty.
func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return len(some) > 0
}
