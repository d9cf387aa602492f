package transport

import (
	"gatehouse/gateway"
	"gatehouse/wire"
)

// Acknowledged is the first message of a subscriptions/listen stream. id is the listen request's id, as written.
func Acknowledged(id []byte, granted gateway.Want) []byte {
	n := wire.Object{}
	for _, f := range []struct {
		name string
		on   bool
	}{{"toolsListChanged", granted.Tools}, {"promptsListChanged", granted.Prompts}, {"resourcesListChanged", granted.Resources}} {
		if f.on {
			n = append(n, wire.Member{Name: f.name, Value: []byte("true")})
		}
	}
	if len(granted.URIs) > 0 {
		list := []byte{'['}
		for i, u := range granted.URIs {
			if i > 0 {
				list = append(list, ',')
			}
			list = wire.AppendString(list, u)
		}
		n = append(n, wire.Member{Name: "resourceSubscriptions", Value: append(list, ']')})
	}
	return wire.AppendNotification(nil, "notifications/subscriptions/acknowledged", ListenParams(id, wire.Object{{Name: "notifications", Value: n.Bytes()}}.Bytes()))
}

// ListenParams puts the subscription's id into the params of a notification on a listen stream.
func ListenParams(id, params []byte) []byte {
	o, _ := wire.ParseObject(params)
	meta, _ := wire.ParseObject(o.Get("_meta"))
	return o.Set("_meta", meta.Set(MetaSubscription, id).Bytes()).Bytes()
}

// ListenResult ends a listen stream in good order, so that the client subscribes again elsewhere.
func ListenResult(id []byte) []byte {
	meta := wire.Object{{Name: MetaSubscription, Value: id}, {Name: MetaServerInfo, Value: serverInfo}}
	return wire.AppendResult(nil, id, wire.Object{{Name: "resultType", Value: []byte(`"complete"`)}, {Name: "_meta", Value: meta.Bytes()}}.Bytes())
}
