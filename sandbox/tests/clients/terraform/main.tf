# A platform's account part as people write it with Terraform, for the provider as it is published.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.79"
    }
  }
}
# What a second apply changes.
variable "changed" {
  type    = bool
  default = false
}

provider "aws" {
  region = "us-west-2"
  default_tags {
    tags = {
      env = var.changed ? "second" : "first"
    }
  }
}

data "aws_caller_identity" "me" {}

data "aws_availability_zones" "all" {
  state = "available"
}

resource "aws_vpc" "main" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = "tf" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet("10.0.0.0/16", 8, count.index)
  availability_zone       = data.aws_availability_zones.all.names[count.index]
  map_public_ip_on_launch = true
  tags                    = { "kubernetes.io/role/elb" = "1" }
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet("10.0.0.0/16", 8, 10 + count.index)
  availability_zone = data.aws_availability_zones.all.names[count.index]
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

resource "aws_nat_gateway" "main" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  depends_on    = [aws_internet_gateway.main]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "nat" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main.id
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.us-west-2.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
}

resource "aws_security_group" "a" {
  name   = "a"
  vpc_id = aws_vpc.main.id
  ingress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/16"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "b" {
  name_prefix = "b"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "b" {
  security_group_id            = aws_security_group.b.id
  referenced_security_group_id = aws_security_group.a.id
  ip_protocol                  = "tcp"
  from_port                    = 9092
  to_port                      = var.changed ? 9095 : 9094
}

resource "aws_kms_key" "k" {
  deletion_window_in_days = 7
  enable_key_rotation     = true
}

resource "aws_kms_alias" "k" {
  name          = "alias/tf"
  target_key_id = aws_kms_key.k.key_id
}

resource "aws_cloudwatch_log_group" "eks" {
  name              = "/aws/eks/tf/cluster"
  retention_in_days = var.changed ? 14 : 7
}

resource "aws_ssm_parameter" "p" {
  name  = "/tf/p"
  type  = "String"
  value = "v"
}

data "aws_iam_policy_document" "eks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["eks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "ec2" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "eks" {
  name               = "tf-eks"
  path               = "/tf/"
  assume_role_policy = data.aws_iam_policy_document.eks.json
}

resource "aws_iam_role_policy_attachment" "eks" {
  role       = aws_iam_role.eks.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "node" {
  name               = "tf-node"
  assume_role_policy = data.aws_iam_policy_document.ec2.json
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"])
  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

resource "aws_iam_policy" "p" {
  name = "tf"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "kms:*", Resource = aws_kms_key.k.arn }]
  })
}

resource "aws_iam_role_policy_attachment" "p" {
  role       = aws_iam_role.eks.name
  policy_arn = aws_iam_policy.p.arn
}

resource "aws_eks_cluster" "c" {
  name                          = "tf"
  role_arn                      = aws_iam_role.eks.arn
  bootstrap_self_managed_addons = false
  enabled_cluster_log_types     = ["api", "audit"]
  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = true
  }
  vpc_config {
    subnet_ids = aws_subnet.private[*].id
  }
  encryption_config {
    provider {
      key_arn = aws_kms_key.k.arn
    }
    resources = ["secrets"]
  }
  depends_on = [aws_iam_role_policy_attachment.eks, aws_cloudwatch_log_group.eks]
}

resource "aws_iam_openid_connect_provider" "c" {
  url            = aws_eks_cluster.c.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_eks_addon" "cni" {
  cluster_name = aws_eks_cluster.c.name
  addon_name   = "vpc-cni"
}

resource "aws_eks_addon" "proxy" {
  cluster_name = aws_eks_cluster.c.name
  addon_name   = "kube-proxy"
}

resource "aws_eks_node_group" "n" {
  cluster_name    = aws_eks_cluster.c.name
  node_group_name = "n"
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = aws_subnet.private[*].id
  instance_types  = ["m6i.large"]
  labels          = { team = var.changed ? "y" : "x" }
  scaling_config {
    desired_size = var.changed ? 1 : 2
    max_size     = 3
    min_size     = 1
  }
  depends_on = [aws_iam_role_policy_attachment.node, aws_route.nat, aws_route_table_association.private, aws_eks_addon.cni]
}

resource "aws_eks_addon" "dns" {
  cluster_name = aws_eks_cluster.c.name
  addon_name   = "coredns"
  depends_on   = [aws_eks_node_group.n]
}

resource "aws_eks_access_entry" "e" {
  cluster_name  = aws_eks_cluster.c.name
  principal_arn = aws_iam_role.eks.arn
}

resource "aws_eks_access_policy_association" "e" {
  cluster_name  = aws_eks_cluster.c.name
  principal_arn = aws_iam_role.eks.arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
  access_scope {
    type = "cluster"
  }
  depends_on = [aws_eks_access_entry.e]
}

resource "aws_eks_pod_identity_association" "p" {
  cluster_name    = aws_eks_cluster.c.name
  namespace       = "kube-system"
  service_account = "ebs-csi-controller-sa"
  role_arn        = aws_iam_role.eks.arn
}

data "aws_eks_cluster_auth" "c" {
  name = aws_eks_cluster.c.name
}

resource "aws_launch_template" "t" {
  name_prefix   = "tf-"
  instance_type = "m6i.large"
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 50
      volume_type = "gp3"
    }
  }
}

resource "aws_ebs_volume" "v" {
  availability_zone = data.aws_availability_zones.all.names[0]
  size              = 5
  type              = "gp3"
}

resource "aws_lb" "nlb" {
  name               = "tf"
  load_balancer_type = "network"
  subnets            = aws_subnet.public[*].id
}
