package embedded

import "github.com/nats-io/nats-server/v2/server"

// readerMayPublish are the requests of the JetStream API that change nothing
// but consumers, and what a consumer's client has to send back.
var readerMayPublish = []string{
	"$JS.API.INFO",
	"$JS.API.STREAM.NAMES",
	"$JS.API.STREAM.LIST",
	"$JS.API.STREAM.INFO.*",
	"$JS.API.STREAM.MSG.GET.*",
	"$JS.API.DIRECT.GET.>",
	"$JS.API.CONSUMER.NAMES.*",
	"$JS.API.CONSUMER.LIST.*",
	"$JS.API.CONSUMER.INFO.*.*",
	"$JS.API.CONSUMER.CREATE.>",
	"$JS.API.CONSUMER.DURABLE.CREATE.*.*",
	"$JS.API.CONSUMER.DELETE.*.*",
	"$JS.API.CONSUMER.MSG.NEXT.*.*",
	"$JS.ACK.>",
	"$JS.FC.>",
}

// readerMayNotSubscribe hides other clients' requests and the owner's replies.
var readerMayNotSubscribe = []string{
	"$JS.API.>",
	"$JS.ACK.>",
	"$JS.FC.>",
	ownerInbox + ".>",
}

func users(c credentials, protected []string) []*server.User {
	return []*server.User{
		{Username: c.User, Password: c.Password},
		{Username: readerUser, Permissions: readerPermissions(protected)},
	}
}

func readerPermissions(protected []string) *server.Permissions {
	var deny []string
	for _, consumer := range protected {
		deny = append(deny,
			"$JS.API.CONSUMER.CREATE.*."+consumer,
			"$JS.API.CONSUMER.CREATE.*."+consumer+".>",
			"$JS.API.CONSUMER.DURABLE.CREATE.*."+consumer,
			"$JS.API.CONSUMER.DELETE.*."+consumer,
			"$JS.API.CONSUMER.MSG.NEXT.*."+consumer,
			"$JS.ACK.*."+consumer+".>",
		)
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: readerMayPublish, Deny: deny},
		Subscribe: &server.SubjectPermission{Allow: []string{">"}, Deny: readerMayNotSubscribe},
	}
}
