package config

import (
	"time"

	"github.com/peerquest/questwatch/internal/remedy"
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
	Statuses  Statuses `yaml:"statuses"`
	WaysBack  WaysBack `yaml:"ways_back"`
	Rules     Rules    `yaml:"rules"`
	Repair    Repair   `yaml:"repair"`
	Alert     Alert    `yaml:"alert"`
	Audit     Audit    `yaml:"audit"`
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
	Enabled bool `yaml:"enabled"`
	// Deleted judges soft-deleted quests too.
	Deleted bool `yaml:"deleted"`
	// VerifyEvery is the time between comparisons of the state with the database; 0 is
	// never.
	VerifyEvery time.Duration `yaml:"verify_every"`
	// CheckpointEvery is how often the checker's state is stored; 0 for never.
	CheckpointEvery time.Duration `yaml:"checkpoint_every"`
	// KeepCheckpoints is how many are kept beside the newest, for who asks what was.
	KeepCheckpoints int `yaml:"keep_checkpoints"`
}

// Alarm is where alarms begin.
type Alarm struct {
	WALKept     int64         `yaml:"wal_kept"`     // bytes of log that the slot keeps
	SafePercent int64         `yaml:"safe_percent"` // of max_slot_wal_keep_size that is left
	DiskFree    int64         `yaml:"disk_free"`    // bytes free on the data directory's disk
	Lag         time.Duration `yaml:"lag"`          // how far the stream is behind
	Heartbeat   time.Duration `yaml:"heartbeat"`    // without anything through the slot
}

// NoColumn is the name of a column that there is not. Only those may be missing that
// the rules can do without: times, the title, and whether a quest is deleted.
const NoColumn = "none"

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

// Statuses are the words that the database has for the roles of the workflow; several
// with commas between, the first of which a repair writes. A word that stands for
// nothing here has no role.
type Statuses struct {
	Quest       QuestStatuses       `yaml:"quest"`
	Application ApplicationStatuses `yaml:"application"`
	Participant ParticipantStatuses `yaml:"participant"`
}

// QuestStatuses are the quest table's words.
type QuestStatuses struct {
	Open       string `yaml:"open"`
	InProgress string `yaml:"in_progress"`
	Completed  string `yaml:"completed"`
}

// ApplicationStatuses are the application table's words.
type ApplicationStatuses struct {
	Pending  string `yaml:"pending"`
	Approved string `yaml:"approved"`
	Rejected string `yaml:"rejected"`
	Kicked   string `yaml:"kicked"`
}

// ParticipantStatuses are the participant table's words.
type ParticipantStatuses struct {
	Joined     string `yaml:"joined"`
	InProgress string `yaml:"in_progress"`
	Completed  string `yaml:"completed"`
	Dropped    string `yaml:"dropped"`
}

// WaysBack says when a quest's status may go back without an event: never, released
// (the quest is left assigned to nobody) or always.
type WaysBack struct {
	InProgressToOpen      string `yaml:"in_progress_to_open"`
	CompletedToInProgress string `yaml:"completed_to_in_progress"`
	CompletedToOpen       string `yaml:"completed_to_open"`
}

// Default is what holds where nothing is set. Table and column names are the
// application's own, and are filled in by whoever maps them: "" means its name.
func Default() Config {
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
		Watch: Watch{Enabled: true, VerifyEvery: time.Hour, CheckpointEvery: 5 * time.Minute, KeepCheckpoints: 24},
		Alarm: Alarm{WALKept: 1 << 30, SafePercent: 25, DiskFree: 1 << 30, Lag: time.Minute, Heartbeat: 15 * time.Second},
		Statuses: Statuses{
			Quest:       QuestStatuses{Open: "open", InProgress: "in-progress", Completed: "completed"},
			Application: ApplicationStatuses{Pending: "pending", Approved: "approved", Rejected: "rejected", Kicked: "kicked"},
			Participant: ParticipantStatuses{Joined: "joined", InProgress: "in_progress", Completed: "completed", Dropped: "dropped"},
		},
		WaysBack: WaysBack{InProgressToOpen: "released", CompletedToInProgress: "never", CompletedToOpen: "never"},
		Rules:    defaultRules(),
		Repair:   Repair{LockTimeout: 2 * time.Second, Mode: string(remedy.ModePlan), PerMinute: 60, PerRule: 30, Breaker: Breaker{Opened: 50, Percent: 1}},
		Alert:    defaultAlert(),
		Audit:    Audit{Schedule: "0 6 * * 1", Zone: "UTC", Within: time.Hour, Keep: 60},
	}
}
