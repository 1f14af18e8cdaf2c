//! The embedded cloud: a real Kubernetes control plane and a simulated AWS on this machine.
