package quest

// Users interns people's ids: a quest holds a few bytes for each, and the text is
// held once. Ids are never forgotten; there are as many as people who ever
// applied.
type Users struct {
	ids   map[string]User
	texts []string
}

// NewUsers is an empty table.
func NewUsers() *Users {
	return &Users{ids: map[string]User{}, texts: []string{""}}
}

// Intern is the number of an id's text; the empty text is nobody.
func (u *Users) Intern(text []byte) User {
	if len(text) == 0 {
		return 0
	}
	if id, ok := u.ids[string(text)]; ok {
		return id
	}
	id := User(len(u.texts))
	s := string(text)
	u.texts = append(u.texts, s)
	u.ids[s] = id
	return id
}

// Text is the id as the database writes it, "" for nobody.
func (u *Users) Text(id User) string { return u.texts[id] }

// Find is the number of an id's text, 0 for one that nobody has.
func (u *Users) Find(text string) User { return u.ids[text] }

func (u *Users) has(id User) bool { return uint64(id) < uint64(len(u.texts)) }
