package embedded

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/bcrypt"
)

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

// readerMayNotSubscribe hides other clients' requests and the owner's replies. Nor
// may a reader take requests to the program in its place, or see them.
var readerMayNotSubscribe = []string{
	"*.control.>",
	"$SRV.>",
	"$JS.API.>",
	"$JS.ACK.>",
	"$JS.FC.>",
	ownerInbox + ".>",
}

// users are the owner and everybody else. The server gets a hash of the owner's
// password; the lowest cost will do for one of 130 random bits.
func users(c credentials, protected []string) ([]*server.User, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(c.Password), bcrypt.MinCost)
	if err != nil {
		return nil, fmt.Errorf("hash the owner's password: %w", err)
	}
	return []*server.User{
		{Username: c.User, Password: string(hash)},
		{Username: readerUser, Permissions: readerPermissions(protected)},
	}, nil
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
