//! The way to an AWS account: the ports of the stages over the AWS SDKs.
