package watch

// For tests of what is inside the frames.
var (
	NewFrameReader = newFrameReader
	NewFrameWriter = newFrameWriter
)
