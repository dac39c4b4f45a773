// Package kubernetes_test holds the manifests to what the documentation promises.
package kubernetes_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"vstream/internal/kubetest"
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
		if s := kubetest.Find[*corev1.Secret](all, secretName); s != nil {
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
			if kubetest.Find[*appsv1.Deployment](objects, "vcsim") != nil {
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
			if _, err := kubetest.Decode([]byte(text)); err == nil {
				t.Errorf("decoded without an error:\n%s", text)
			}
		})
	}
	if _, err := kubetest.Decode([]byte(service)); err != nil {
		t.Errorf("the text without a mistake: %v", err)
	}
}

func decodeFile(t *testing.T, path string) []runtime.Object {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kubetest.Decode(text)
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
		objects, err := kubetest.Decode([]byte(p.Patch))
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
	if !kubetest.Selects(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
		t.Errorf("%s: the selector does not match its own pods", d.Name)
	}
	checkEnvironment(t, pod)
	kubetest.CheckRestricted(t, pod)
	kubetest.CheckServer(t, pod)
	for _, c := range pod.Containers {
		if len(c.Args) == 0 || !slices.Contains(commands, c.Args[0]) {
			t.Errorf("container %s: args %q do not begin with one of the commands %q", c.Name, c.Args, commands)
		}
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

// checkInstallation checks the documented names, and that the objects fit together.
func checkInstallation(t *testing.T, objects []runtime.Object) {
	t.Helper()
	ns := kubetest.Find[*corev1.Namespace](objects, namespace)
	if ns == nil || ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("no Namespace %s that enforces the pod security standard restricted", namespace)
	}
	for _, service := range []string{name, "vcsim"} {
		s, d := kubetest.Find[*corev1.Service](objects, service), kubetest.Find[*appsv1.Deployment](objects, service)
		if s == nil && d == nil && service == "vcsim" {
			continue
		}
		if s == nil || d == nil {
			t.Fatalf("want a Service and a Deployment %s", service)
		}
		if !kubetest.Selects(s.Spec.Selector, d.Spec.Template.Labels) {
			t.Errorf("Service %s does not select the pods of its Deployment", service)
		}
		account := d.Spec.Template.Spec.ServiceAccountName
		if kubetest.Find[*corev1.ServiceAccount](objects, account) == nil {
			t.Errorf("Deployment %s wants a ServiceAccount %q, which is not there", service, account)
		}
	}

	if account := kubetest.Find[*corev1.ServiceAccount](objects, name); account == nil ||
		account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
		t.Errorf("no ServiceAccount %s that mounts no token", name)
	}

	pod := kubetest.Find[*appsv1.Deployment](objects, name).Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("Deployment %s has %d containers, want 1", name, len(pod.Containers))
	}
	c := pod.Containers[0]
	kubetest.CheckPort(t, kubetest.Find[*corev1.Service](objects, name), c, 80, 8080)
	if u := kubetest.Env(c, "VCENTER_URL"); !strings.HasPrefix(u, "https://") {
		t.Errorf("VCENTER_URL is %q, want an https URL", u)
	}
	if p := kubetest.Env(c, "PORT"); p != "" && p != "8080" {
		t.Errorf("PORT is %s, but the container's port 8080", p)
	}
	kubetest.CheckProbes(t, c)
	if got := kubetest.Env(c, "VCENTER_SECRET_PATH"); got != "" && got != secretPath {
		t.Errorf("VCENTER_SECRET_PATH is %s, want %s", got, secretPath)
	}
	kubetest.CheckSecretMount(t, pod, c, secretName, secretPath)
}

// checkSimulator checks that what the overlay adds finds one another.
func checkSimulator(t *testing.T, objects []runtime.Object) {
	t.Helper()
	c := kubetest.Find[*appsv1.Deployment](objects, "vcsim").Spec.Template.Spec.Containers[0]
	kubetest.CheckPort(t, kubetest.Find[*corev1.Service](objects, "vcsim"), c, 443, 8989)
	if !slices.Contains(c.Args, ":8989") {
		t.Errorf("vcsim: args %q listen on another port than 8989", c.Args)
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" && !m.ReadOnly }) {
		t.Error("vcsim: nothing to write to is mounted at /tmp, and without it the simulator does not start")
	}
	stream := kubetest.Find[*appsv1.Deployment](objects, name).Spec.Template.Spec.Containers[0]
	if got, want := kubetest.Env(stream, "VCENTER_URL"), "https://vcsim."+namespace+".svc/sdk"; got != want {
		t.Errorf("VCENTER_URL is %s, want %s", got, want)
	}
	if got := kubetest.Env(stream, "VCENTER_INSECURE"); got != "true" {
		t.Errorf("VCENTER_INSECURE is %s, but nobody signed the simulator's certificate", got)
	}
	secret := kubetest.Find[*corev1.Secret](objects, secretName)
	if secret == nil || len(secret.Data["username"]) == 0 || len(secret.Data["password"]) == 0 || len(secret.Data) != 2 {
		t.Errorf("want a Secret %s with the keys username and password", secretName)
	}
}
