package testkit

// Children and Gone let the tests look at the process table.
var (
	Children = childrenOf
	Gone     = goneOrZombie
)
