// client-go as it talks HTTP/2: hundreds of watches, lists and writes through one transport, whose connections and protocols are counted.
// It says "restart" when its server shall be killed and started again, and reads a line when that was done.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	namespace = "watched"
	watches   = 300
	perStream = 100 // the streams that a connection may have before client-go opens another
	patience  = 30 * time.Second
)

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func require(what string, holds bool) {
	if !holds {
		check(what, fmt.Errorf("is not so"))
	}
}

// seen counts what goes through the transport. Where several requests find all connections full at once, each dials, and all but one
// of the new connections are closed again: those that are open count.
type seen struct {
	connections, otherProtocols atomic.Int64
	next                        http.RoundTripper
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

func (s *seen) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(request)
	if err == nil && response.ProtoMajor != 2 {
		s.otherProtocols.Add(1)
	}
	return response, err
}

func connect() (*kubernetes.Clientset, *seen) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	check("the kubeconfig", err)
	config.QPS, config.Burst = -1, -1
	counts := &seen{}
	dialer := &net.Dialer{}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		counts.connections.Add(1)
		return &countedConn{connection, sync.OnceFunc(func() { counts.connections.Add(-1) })}, nil
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		counts.next = next
		return counts
	})
	shared, err := rest.HTTPClientFor(config)
	check("the transport", err)
	client, err := kubernetes.NewForConfigAndClient(config, shared)
	check("the client", err)
	return client, counts
}

func name(i int) string { return fmt.Sprintf("watched-%d", i) }

// inParallel calls do for 0 to n-1, twenty at a time.
func inParallel(n int, do func(i int)) {
	var group sync.WaitGroup
	turns := make(chan struct{}, 20)
	for i := range n {
		group.Add(1)
		turns <- struct{}{}
		go func() {
			defer group.Done()
			do(i)
			<-turns
		}()
	}
	group.Wait()
}

// awaitEvent reads up to the event that shows a value.
func awaitEvent(what string, from watch.Interface, value string) {
	deadline := time.After(patience)
	for {
		select {
		case event, open := <-from.ResultChan():
			require(what+": the watch goes on", open)
			object, is := event.Object.(*corev1.ConfigMap)
			require(fmt.Sprintf("%s: an event of a ConfigMap, not %v", what, event), is)
			if object.Data["value"] == value {
				return
			}
		case <-deadline:
			require(what+": an event came", false)
		}
	}
}

func main() {
	ctx := context.Background()
	client, counts := connect()
	maps := client.CoreV1().ConfigMaps(namespace)
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	check("create the namespace", err)

	open := func(i int) watch.Interface {
		selector := fields.OneTermEqualSelector("metadata.name", name(i)).String()
		opened, err := maps.Watch(ctx, metav1.ListOptions{FieldSelector: selector})
		check("open a watch", err)
		return opened
	}
	set := func(i int, value string) {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name(i)}, Data: map[string]string{"value": value}}
		_, err := maps.Update(ctx, object, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			_, err = maps.Create(ctx, object, metav1.CreateOptions{})
		}
		check("write", err)
	}

	// Watches, writes and lists at once.
	opened := make([]watch.Interface, watches)
	inParallel(watches, func(i int) { opened[i] = open(i) })
	inParallel(watches, func(i int) {
		set(i, "one")
		if i%20 == 0 {
			_, err := maps.List(ctx, metav1.ListOptions{Limit: 50})
			check("list", err)
		}
	})
	inParallel(watches, func(i int) { awaitEvent("after the first write", opened[i], "one") })
	require("everything went over HTTP/2", counts.otherProtocols.Load() == 0)
	fmt.Printf("%d watches on %d connections\n", watches, counts.connections.Load())
	require("as few connections as the streams need", counts.connections.Load() <= watches/perStream+2)

	// Half of them end; the others go on, and new ones take the streams of those that ended.
	before := counts.connections.Load()
	for i := 0; i < watches; i += 2 {
		opened[i].Stop()
	}
	inParallel(watches, func(i int) { set(i, "two") })
	inParallel(watches, func(i int) {
		if i%2 == 1 {
			awaitEvent("after half were cancelled", opened[i], "two")
		} else {
			opened[i] = open(i)
		}
	})
	inParallel(watches, func(i int) { set(i, "three") })
	inParallel(watches, func(i int) { awaitEvent("after half were opened again", opened[i], "three") })
	fmt.Printf("%d connections after half were opened again\n", counts.connections.Load())
	require("no further connections", counts.connections.Load() <= before+1)

	// Bodies larger than any window, both ways; answers that nobody waits for.
	large := strings.Repeat("0123456789abcdef", 1000_000/16)
	inParallel(20, func(i int) {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("large-%d", i)}, Data: map[string]string{"value": large}}
		_, err := maps.Create(ctx, object, metav1.CreateOptions{})
		check("write what is large", err)
	})
	inParallel(10, func(int) {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		maps.List(short, metav1.ListOptions{})
	})
	all, err := maps.List(ctx, metav1.ListOptions{})
	check("list what is large", err)
	size := 0
	for _, object := range all.Items {
		size += len(object.Data["value"])
	}
	require("what is large came whole", size >= 20*len(large))

	// An informer over a restart of the server; the watches of the old one end.
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.Core().V1().ConfigMaps().Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	fmt.Println("restart")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	check("wait for the restart", err)
	inParallel(watches, func(i int) {
		for range opened[i].ResultChan() {
		}
	})
	inParallel(watches, func(i int) { set(i, "four") })
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		for i := range watches {
			object, err := lister.ConfigMaps(namespace).Get(name(i))
			if err != nil || object.Data["value"] != "four" {
				return false, nil
			}
		}
		return true, nil
	})
	check("the informer has what was written after the restart", err)
	require("everything went over HTTP/2", counts.otherProtocols.Load() == 0)
	fmt.Println("done")
}
