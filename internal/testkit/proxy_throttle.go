package testkit

import "time"

// Throttle lets through at most so many bytes a second in each direction of each connection; 0 takes the limit
// away, also for bytes that wait.
func (p *Proxy) Throttle(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytesPerSecond
	close(p.rated)
	p.rated = make(chan struct{})
}

// throttle waits as long as n bytes take; false means that the proxy was closed.
func (p *Proxy) throttle(n int) bool {
	for start := time.Now(); ; {
		p.mu.Lock()
		rate, changed := p.rate, p.rated
		p.mu.Unlock()
		if rate <= 0 {
			return true
		}
		left := time.Duration(n)*time.Second/time.Duration(rate) - time.Since(start)
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
			return true
		case <-changed:
			timer.Stop()
		case <-p.closed:
			timer.Stop()
			return false
		}
	}
}
