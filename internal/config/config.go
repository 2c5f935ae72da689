package config

import (
	"time"
)

// Config is every setting.
type Config struct {
	Namespace string   `yaml:"namespace"`
	Data      string   `yaml:"data"`
	Log       Log      `yaml:"log"`
	HTTP      HTTP     `yaml:"http"`
	Postgres  Postgres `yaml:"postgres"`
	NATS      NATS     `yaml:"nats"`
	Stream    Stream   `yaml:"stream"`
	Watch     Watch    `yaml:"watch"`
	Alarm     Alarm    `yaml:"alarm"`
	Tables    Tables   `yaml:"tables"`
	Rules     Rules    `yaml:"rules"`
}

// Log is how the program logs to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// HTTP is the health and metrics server.
type HTTP struct {
	Listen string `yaml:"listen"`
}

// AllColumns is the value of Postgres.Columns that streams every column, and not
// only those that the rules need.
const AllColumns = "all"

// Postgres is the database to stream from.
type Postgres struct {
	DSN           string        `yaml:"dsn"`
	DSNFile       string        `yaml:"dsn_file"`
	Slot          string        `yaml:"slot"`
	Publication   string        `yaml:"publication"`
	Columns       string        `yaml:"columns"` // listed, all
	Setup         bool          `yaml:"setup"`
	SenderTimeout time.Duration `yaml:"sender_timeout"`
}

// NATS is the server to publish to: an external one when URL or Context is set,
// else the embedded one, which listens on Listen.
type NATS struct {
	URL          string        `yaml:"url"`
	Context      string        `yaml:"context"`
	Listen       string        `yaml:"listen"`
	Creds        string        `yaml:"creds_file"`
	User         string        `yaml:"user"`
	Password     string        `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	Manage       string        `yaml:"manage"` // create, verify
	SyncInterval time.Duration `yaml:"sync_interval"`
	Monitoring   string        `yaml:"monitoring"` // URLs, comma-separated
}

// Stream is how changes are cut into messages and kept.
type Stream struct {
	Durability string        `yaml:"durability"` // interval, always
	MaxRows    int           `yaml:"max_rows"`
	MaxBytes   int           `yaml:"max_bytes"`
	ConfirmLag time.Duration `yaml:"confirm_lag"`
	KeepFor    time.Duration `yaml:"keep_for"`
	KeepBytes  int64         `yaml:"keep_bytes"`
	KeepEvents time.Duration `yaml:"keep_events_for"`
}

// Watch is the checker.
type Watch struct {
	Enabled     bool          `yaml:"enabled"`
	VerifyEvery time.Duration `yaml:"verify_every"` // between comparisons of the state with the database; 0 for none
}

// Alarm is where alarms begin.
type Alarm struct {
	WALKept     int64         `yaml:"wal_kept"`     // bytes of log that the slot keeps
	SafePercent int64         `yaml:"safe_percent"` // of max_slot_wal_keep_size that is left
	DiskFree    int64         `yaml:"disk_free"`    // bytes free on the data directory's disk
	Lag         time.Duration `yaml:"lag"`          // how far the stream is behind
	Heartbeat   time.Duration `yaml:"heartbeat"`    // without anything through the slot
}

// Tables names the application's tables and columns.
type Tables struct {
	Quest       QuestTable       `yaml:"quest"`
	Application ApplicationTable `yaml:"application"`
	Participant ParticipantTable `yaml:"participant"`
	User        UserTable        `yaml:"user"`
}

// QuestTable names the quest table and its columns.
type QuestTable struct {
	Table   string `yaml:"table"`
	Columns struct {
		ID          string `yaml:"id"`
		Title       string `yaml:"title"`
		Status      string `yaml:"status"`
		AssignedTo  string `yaml:"assigned_to"`
		IsDeleted   string `yaml:"is_deleted"`
		CreatedAt   string `yaml:"created_at"`
		UpdatedAt   string `yaml:"updated_at"`
		CompletedAt string `yaml:"completed_at"`
	} `yaml:"columns"`
}

// ApplicationTable names the application table and its columns.
type ApplicationTable struct {
	Table   string `yaml:"table"`
	Columns struct {
		ID         string `yaml:"id"`
		QuestID    string `yaml:"quest_id"`
		User       string `yaml:"user"`
		Status     string `yaml:"status"`
		AppliedAt  string `yaml:"applied_at"`
		ReviewedAt string `yaml:"reviewed_at"`
	} `yaml:"columns"`
}

// ParticipantTable names the participant table and its columns.
type ParticipantTable struct {
	Table   string `yaml:"table"`
	Columns struct {
		ID       string `yaml:"id"`
		QuestID  string `yaml:"quest_id"`
		User     string `yaml:"user"`
		Status   string `yaml:"status"`
		JoinedAt string `yaml:"joined_at"`
	} `yaml:"columns"`
}

// UserTable names the table of people, for their names.
type UserTable struct {
	Table   string `yaml:"table"`
	Columns struct {
		ID       string `yaml:"id"`
		Username string `yaml:"username"`
	} `yaml:"columns"`
}

// Rules switches rules and sets their grace.
type Rules struct {
	MissingParticipant   Rule `yaml:"missing_participant"`
	OrphanParticipant    Rule `yaml:"orphan_participant"`
	OpenWithParticipants Rule `yaml:"open_with_participants"`
	Unassigned           Rule `yaml:"unassigned"`
	DuplicateParticipant Rule `yaml:"duplicate_participant"`
}

// Rule is one rule's settings.
type Rule struct {
	Enabled bool          `yaml:"enabled"`
	Grace   time.Duration `yaml:"grace"`
}

// Default is what holds where nothing is set. Table and column names are the
// application's own, and are filled in by whoever maps them: "" means its name.
func Default() Config {
	on := Rule{Enabled: true, Grace: 3 * time.Second}
	return Config{
		Namespace: "questwatch",
		Data:      "questwatch-data",
		Log:       Log{Level: "info", Format: "text"},
		HTTP:      HTTP{Listen: "127.0.0.1:8080"},
		Postgres: Postgres{
			Slot: "questwatch", Publication: "questwatch", Columns: "listed", Setup: true, SenderTimeout: 10 * time.Second,
		},
		NATS: NATS{Listen: "127.0.0.1:4222", Manage: "create"},
		Stream: Stream{
			Durability: "interval",
			MaxRows:    4096, MaxBytes: 8 << 20,
			KeepFor: 7 * 24 * time.Hour, KeepBytes: 8 << 30, KeepEvents: 400 * 24 * time.Hour,
		},
		Watch: Watch{Enabled: true, VerifyEvery: time.Hour},
		Alarm: Alarm{WALKept: 1 << 30, SafePercent: 25, DiskFree: 1 << 30, Lag: time.Minute, Heartbeat: 15 * time.Second},
		Rules: Rules{
			MissingParticipant: on, OrphanParticipant: on, OpenWithParticipants: on, Unassigned: on, DuplicateParticipant: on,
		},
	}
}
