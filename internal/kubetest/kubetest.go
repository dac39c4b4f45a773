// Package kubetest reads manifests for tests as strictly as it can be done without a cluster, and
// holds every pod in them to what all pods of vstream promise. It leaves to the tests what is
// particular to their manifests.
package kubetest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Decode reads a manifest of several documents. Kinds that we do not use, unknown fields and
// duplicate fields are errors.
func Decode(text []byte) ([]runtime.Object, error) {
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

var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		gatewayv1.Install, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return kubejson.NewSerializerWithOptions(kubejson.DefaultMetaFactory, scheme, scheme,
		kubejson.SerializerOptions{Yaml: true, Strict: true})
}()

// Find returns the object of this type and name, or nil.
func Find[T metav1.Object](objects []runtime.Object, name string) T {
	for _, o := range objects {
		if o, ok := o.(T); ok && o.GetName() == name {
			return o
		}
	}
	var none T
	return none
}

// Env returns the value of a variable, "" if it is not set.
func Env(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// Selects reports whether a selector, which must not be empty, matches the labels.
func Selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// CheckRestricted checks the pod security standard "restricted", and beyond it that the root file
// system is read-only and that no token of the cluster is mounted.
func CheckRestricted(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("the pod shares a namespace of its host")
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod mounts a token of the cluster")
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

// CheckServer checks what holds for every pod that serves: it is stopped quickly, probed, and has
// room for what it keeps in memory.
func CheckServer(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	if grace := pod.TerminationGracePeriodSeconds; grace == nil || *grace > 15 {
		t.Error("terminationGracePeriodSeconds should be at most 15: a stop takes 2 s")
	}
	for _, c := range pod.Containers {
		for kind, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if probe == nil {
				t.Errorf("container %s: no %s probe", c.Name, kind)
			}
		}
		checkResources(t, c)
	}
}

// CheckProbes checks that the server is asked about itself and not about vCenter.
func CheckProbes(t *testing.T, c corev1.Container) {
	t.Helper()
	for probe, path := range map[*corev1.Probe]string{c.StartupProbe: "/healthz", c.LivenessProbe: "/healthz", c.ReadinessProbe: "/readyz"} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != "http" {
			t.Errorf("want a probe of %s on the port http, got %v", path, probe)
		}
	}
}

// CheckPort checks that a Service with one port leads to a container with one port.
func CheckPort(t *testing.T, s *corev1.Service, c corev1.Container, servicePort, containerPort int32) {
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

// CheckSecretMount checks that a whole secret is mounted at path, where it can be read and follows
// changes.
func CheckSecretMount(t *testing.T, pod corev1.PodSpec, c corev1.Container, secret, path string) {
	t.Helper()
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.Secret != nil && v.Secret.SecretName == secret
	})
	if i < 0 {
		t.Fatalf("no volume of the secret %s", secret)
	}
	v := pod.Volumes[i]
	// Its files belong to root; the group is what lets another user read them.
	if v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440 || pod.SecurityContext.FSGroup == nil {
		t.Errorf("want the files of the secret %s with mode 0440 and an fsGroup", secret)
	}
	if len(v.Secret.Items) > 0 {
		t.Errorf("the keys of the secret %s are the documented ones already, map none", secret)
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.Name == v.Name && m.MountPath == path && m.ReadOnly && m.SubPath == ""
	}) {
		t.Errorf("the secret %s is not mounted read-only at %s", secret, path)
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
	soft := bytesOf(t, Env(c, "GOMEMLIMIT"))
	if soft < limit/2 || soft > limit/100*95 {
		t.Errorf("container %s: GOMEMLIMIT is %d, want 50 to 95 %% of the memory limit %d", c.Name, soft, limit)
	}
	inMemory := Env(c, "LOG_DIR") == "" && Env(c, "NATS_URL") == ""
	if log := Env(c, "LOG_MAX_BYTES"); inMemory && log != "" && soft < 2*bytesOf(t, log) {
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
