"""What tests and benches share: named problems, error bounds, gradient checks, guarded memory."""
