// Reads Kubernetes protobuf messages from standard input, each with its size before it (4 bytes, big-endian), and prints each as a
// line of JSON, as client-go understands it.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	kinds := runtime.NewScheme()
	_ = scheme.AddToScheme(kinds)
	_ = metav1.AddMetaToScheme(kinds)
	_ = apidiscoveryv2.AddToScheme(kinds)
	decoder := protobuf.NewSerializer(kinds, kinds)
	in := bufio.NewReader(os.Stdin)
	for {
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		object, kind, err := decoder.Decode(message, nil, nil)
		if err != nil {
			fmt.Printf("{\"undecodable\":%q}\n", err.Error())
			continue
		}
		object.GetObjectKind().SetGroupVersionKind(*kind)
		text, _ := json.Marshal(object)
		fmt.Println(string(text))
	}
}
