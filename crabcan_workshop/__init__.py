"""The classroom around crabcan_steps: what your machine can do, and what the layers really do."""
