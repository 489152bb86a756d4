//! Holds benches alone: `cargo bench -p guerdon-yardsticks-zen`.
