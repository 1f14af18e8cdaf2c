//! pipectl stands a streaming-data platform up on Amazon EKS and takes it down again.
