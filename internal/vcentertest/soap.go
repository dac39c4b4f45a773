package vcentertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

const (
	envelopeBegin = xml.Header + `<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"` +
		"\n xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"" +
		"\n xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n"
	envelopeEnd = "\n</soapenv:Body>\n</soapenv:Envelope>"

	cookieName = "vmware_soap_session"
)

// call is one request.
type call struct {
	method string
	this   types.ManagedObjectReference
	params any // pointer to the type of govmomi that is called like the method
	cookie string

	// What performing it made; the client knows of it only if the answer arrives.
	session   *session
	collector *collector
}

// answer is what a call is answered with.
type answer struct {
	status int
	cookie string // to set, or none
	body   []byte
	html   bool
}

// readCall reads the request of one call.
func readCall(r *http.Request) (*call, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := &call{}
	if cookie, err := r.Cookie(cookieName); err == nil {
		c.cookie = cookie.Value
	}
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.TypeFunc = types.TypeFunc()
	for inBody := false; ; {
		token, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("the request has no body: %w", err)
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case !inBody:
			inBody = start.Name.Local == "Body"
		default:
			return c, c.decode(dec, &start)
		}
	}
}

func (c *call) decode(dec *xml.Decoder, start *xml.StartElement) error {
	c.method = start.Name.Local
	kind, ok := types.TypeFunc()(c.method)
	if !ok || kind.Kind() != reflect.Struct {
		return nil // a method that is not known
	}
	params := reflect.New(kind)
	if err := dec.DecodeElement(params.Interface(), start); err != nil {
		return err
	}
	c.params = params.Interface()
	this := params.Elem().FieldByName("This")
	if !this.IsValid() {
		return errors.New(c.method + " is no method")
	}
	c.this, ok = this.Interface().(types.ManagedObjectReference)
	if !ok {
		return errors.New(c.method + " is no method")
	}
	return nil
}

// response is the good answer to a call, around the XML of what it returns.
func response(method string, inner []byte) answer {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s<%sResponse xmlns=\"urn:vim25\">", envelopeBegin, method)
	b.Write(inner)
	fmt.Fprintf(&b, "</%sResponse>%s", method, envelopeEnd)
	return answer{status: http.StatusOK, body: b.Bytes()}
}

// refusal is the answer of a call that failed with a fault of vSphere's.
func refusal(fault types.BaseMethodFault) answer {
	kind := reflect.TypeOf(fault).Elem().Name()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail>", envelopeBegin, inWords(kind))
	b.WriteString(element(kind+"Fault", fault, xml.Attr{Name: xml.Name{Local: "xmlns"}, Value: "urn:vim25"}, xsiType(kind)))
	fmt.Fprintf(&b, "</detail></soapenv:Fault>%s", envelopeEnd)
	return answer{status: http.StatusInternalServerError, body: b.Bytes()}
}

// inWords is what vCenter says beside a fault.
func inWords(fault string) string {
	switch fault {
	case "NotAuthenticated":
		return "The session is not authenticated."
	case "InvalidLogin":
		return "Cannot complete login due to an incorrect user name or password."
	case "ManagedObjectNotFound":
		return "The object has already been deleted or has not been completely created"
	case "InvalidState":
		return "The operation is not allowed in the current state."
	}
	return "A general system error occurred: " + fault
}

func xsiType(name string) xml.Attr {
	return xml.Attr{Name: xml.Name{Local: "xsi:type"}, Value: name}
}

// element writes value as govmomi does, but with the prefix xsi, as vCenter.
func element(name string, value any, attrs ...xml.Attr) string {
	var b strings.Builder
	enc := xml.NewEncoder(&b)
	if err := enc.EncodeElement(value, xml.StartElement{Name: xml.Name{Local: name}, Attr: attrs}); err != nil {
		panic(fmt.Sprintf("vcentertest: encode %T: %v", value, err))
	}
	if err := enc.Flush(); err != nil {
		panic(err)
	}
	text := strings.ReplaceAll(b.String(), ` xmlns:_XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance"`, "")
	return strings.ReplaceAll(text, "_XMLSchema-instance:", "xsi:")
}

// typed writes value with the name of its type, for where the schema allows any.
func typed(name string, value any) string {
	return element(name, value, xsiType(reflect.Indirect(reflect.ValueOf(value)).Type().Name()))
}

func textOf(ref types.ManagedObjectReference) string { return element("returnval", ref) }

func (a answer) header(w http.ResponseWriter) {
	kind := "text/xml"
	if a.html {
		kind = "text/html"
	}
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	if a.cookie != "" {
		w.Header().Set("Set-Cookie", cookieName+"="+a.cookie+"; Path=/; HttpOnly; Secure")
	}
}

func (a answer) write(w http.ResponseWriter) {
	a.header(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}
