// An operator as people write them with controller-runtime: a manager with leader election and informers, a reconciler of
// labelled ConfigMaps (finalizer, owned object, event), one of Pods (a readiness gate in the status subresource), and, with
// --sites, one of a custom resource with a status of its own.
package main

import (
	"context"
	"flag"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	label     = "operator.knarr.dev/mirror"
	finalizer = "operator.knarr.dev/outside"
	gate      = corev1.PodConditionType("operator.knarr.dev/checked")
	doneBy    = "operator.knarr.dev/done-by"
)

// mirrors keeps for each labelled ConfigMap an owned copy, and something outside that only the finalizer can take away.
type mirrors struct {
	client.Client
	recorder events.EventRecorder
	identity string
}

func (m *mirrors) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var source corev1.ConfigMap
	if err := m.Get(ctx, request.NamespacedName, &source); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	outside := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: source.Namespace, Name: source.Name + "-outside"}}
	if !source.DeletionTimestamp.IsZero() {
		if err := m.Delete(ctx, outside); client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
		if controllerutil.RemoveFinalizer(&source, finalizer) {
			return ctrl.Result{}, m.Update(ctx, &source)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&source, finalizer) {
		if err := m.Update(ctx, &source); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := m.Create(ctx, outside); err != nil && !apierrors.IsAlreadyExists(err) {
		return ctrl.Result{}, err
	}
	mirror := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: source.Namespace, Name: source.Name + "-mirror"}}
	result, err := controllerutil.CreateOrUpdate(ctx, m.Client, mirror, func() error {
		mirror.Data = source.Data
		metav1.SetMetaDataAnnotation(&mirror.ObjectMeta, doneBy, m.identity)
		return controllerutil.SetControllerReference(&source, mirror, m.Scheme())
	})
	if err == nil && result != controllerutil.OperationResultNone {
		m.recorder.Eventf(&source, mirror, corev1.EventTypeNormal, "Mirrored", "Mirror", "mirror was %s", result)
	}
	return ctrl.Result{}, err
}

// gates answers the readiness gate of pods that ask for it.
type gates struct{ client.Client }

func (g *gates) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var pod corev1.Pod
	if err := g.Get(ctx, request.NamespacedName, &pod); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	asked := false
	for _, readiness := range pod.Spec.ReadinessGates {
		asked = asked || readiness.ConditionType == gate
	}
	for _, condition := range pod.Status.Conditions {
		asked = asked && condition.Type != gate
	}
	if !asked {
		return ctrl.Result{}, nil
	}
	before := pod.DeepCopy()
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: gate, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(), Reason: "Checked",
	})
	return ctrl.Result{}, g.Status().Patch(ctx, &pod, client.StrategicMergeFrom(before))
}

func main() {
	identity := flag.String("identity", "one", "who this is")
	withSites := flag.Bool("sites", false, "reconcile the custom resource, too")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	addSites(scheme)

	lease, renew, retry, resync := 3*time.Second, 2*time.Second, 500*time.Millisecond, 2*time.Second
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Cache:                   cache.Options{SyncPeriod: &resync},
		LeaderElection:          true,
		LeaderElectionID:        "knarr-test-operator",
		LeaderElectionNamespace: "default",
		LeaseDuration:           &lease, RenewDeadline: &renew, RetryPeriod: &retry,
	})
	must(err)
	labelled, err := predicate.LabelSelectorPredicate(metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}})
	must(err)
	must(ctrl.NewControllerManagedBy(manager).Named("mirrors").
		For(&corev1.ConfigMap{}, builder.WithPredicates(labelled)).
		Owns(&corev1.ConfigMap{}).
		Complete(&mirrors{manager.GetClient(), manager.GetEventRecorder("knarr-test-operator"), *identity}))
	must(ctrl.NewControllerManagedBy(manager).Named("gates").For(&corev1.Pod{}).Complete(&gates{manager.GetClient()}))
	if *withSites {
		must(ctrl.NewControllerManagedBy(manager).Named("sites").
			For(&Site{}).
			Owns(&corev1.ConfigMap{}).
			Complete(&sites{manager.GetClient()}))
	}
	must(manager.Start(ctrl.SetupSignalHandler()))
}

func must(err error) {
	if err != nil {
		ctrl.Log.Error(err, "the operator ends")
		os.Exit(1)
	}
}
