package main
import "context"
func failover(ctx context.Context, h *house) error { return nil }
