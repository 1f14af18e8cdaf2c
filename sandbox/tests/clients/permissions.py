"""Callers beside the account's administrator: users with keys, sessions of roles, and what IAM says of them beforehand."""

import json

import boto3
from botocore.exceptions import ClientError
from common import refused, role, until

iam, sts = boto3.client("iam"), boto3.client("sts")


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(action, resource="*", **condition):
    return {"Effect": "Allow", "Action": action, "Resource": resource} | condition


def clients(key):
    named = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    if "SessionToken" in key:
        named["aws_session_token"] = key["SessionToken"]
    return lambda service: boto3.client(service, **named)


def denied(call, code, status, action, /, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        answer = error.response
        assert answer["Error"]["Code"] == code, answer
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status, answer
        assert answer["ResponseMetadata"]["RetryAttempts"] == 0, answer
        assert f"is not authorized to perform: {action}" in answer["Error"]["Message"], answer
    else:
        raise AssertionError(f"{action} was allowed")


def users():
    """A user comes, gets a key and a policy, and goes when nothing hangs on it."""
    made = iam.create_user(UserName="ann", Path="/people/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert made["Arn"] == "arn:aws:iam::111122223333:user/people/ann", made
    refused("EntityAlreadyExists", iam.create_user, UserName="ANN")
    until("lists know her", lambda: {"ann", "sandbox"} <= {one["UserName"] for one in iam.list_users()["Users"]})
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    listed = iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]
    assert [one["AccessKeyId"] for one in listed] == [key["AccessKeyId"]], listed
    assert "SecretAccessKey" not in listed[0], listed
    own = clients(key)
    assert own("sts").get_caller_identity()["Arn"] == made["Arn"]
    denied(own("iam").get_user, "AccessDenied", 403, "iam:GetUser")
    mine = allow("iam:*AccessKey*", "arn:aws:iam::*:user/people/${aws:username}")
    iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=document(mine))
    second = own("iam").create_access_key(UserName="ann")["AccessKey"]
    refused("LimitExceeded", iam.create_access_key, UserName="ann")
    own("iam").update_access_key(UserName="ann", AccessKeyId=second["AccessKeyId"], Status="Inactive")
    refused("InvalidClientTokenId", clients(second)("sts").get_caller_identity)
    refused("DeleteConflict", iam.delete_user, UserName="ann")
    for one in (key, second):
        iam.delete_access_key(UserName="ann", AccessKeyId=one["AccessKeyId"])
    refused("DeleteConflict", iam.delete_user, UserName="ann")
    iam.delete_user_policy(UserName="ann", PolicyName="own")
    iam.delete_user(UserName="ann")
    refused("NoSuchEntity", iam.get_user, UserName="ann")
    refused("InvalidClientTokenId", own("sts").get_caller_identity)


def words():
    """Each protocol has its own words for a missing permission."""
    iam.create_user(UserName="bob")
    own = clients(iam.create_access_key(UserName="bob")["AccessKey"])
    for service, call, code, status, action, parameters in [
        ("ec2", "describe_vpcs", "UnauthorizedOperation", 403, "ec2:DescribeVpcs", {}),
        ("ec2", "create_vpc", "UnauthorizedOperation", 403, "ec2:CreateVpc", {"CidrBlock": "10.0.0.0/16"}),
        ("iam", "list_roles", "AccessDenied", 403, "iam:ListRoles", {}),
        ("sts", "assume_role", "AccessDenied", 403, "sts:AssumeRole", {"RoleArn": "a" * 20, "RoleSessionName": "me"}),
        ("elbv2", "describe_load_balancers", "AccessDenied", 403, "elasticloadbalancing:DescribeLoadBalancers", {}),
        ("eks", "list_clusters", "AccessDeniedException", 403, "eks:ListClusters", {}),
        ("kms", "list_keys", "AccessDeniedException", 400, "kms:ListKeys", {}),
        ("ssm", "get_parameter", "AccessDeniedException", 400, "ssm:GetParameter", {"Name": "/a"}),
        ("logs", "create_log_group", "AccessDeniedException", 400, "logs:CreateLogGroup", {"logGroupName": "a"}),
        ("resourcegroupstaggingapi", "get_resources", "AccessDeniedException", 400, "tag:GetResources", {}),
    ]:
        denied(getattr(own(service), call), code, status, action, **parameters)
    # A dry run tells who may from who may not.
    dry = {"CidrBlock": "10.0.0.0/16", "DryRun": True}
    refused("UnauthorizedOperation", own("ec2").create_vpc, **dry)
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document(allow("ec2:CreateVpc")))
    refused("DryRunOperation", own("ec2").create_vpc, **dry)
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}]
    refused("UnauthorizedOperation", own("ec2").create_vpc, **dry, TagSpecifications=tags)
    # What is passed to a service has to be allowed to be passed to it.
    cluster = role(iam, "cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
    passed = allow("iam:PassRole", cluster, Condition={"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}})
    new = {"name": "c", "roleArn": cluster, "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document(allow("eks:CreateCluster")))
    denied(own("eks").create_cluster, "AccessDeniedException", 403, "iam:PassRole", **new)
    both = document(allow("eks:CreateCluster"), passed)
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=both)
    refused("InvalidParameterException", own("eks").create_cluster, **new)
    # A role that is not there has no path, so a policy for a path does not reach it.
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document(allow("iam:*", "arn:aws:iam::*:role/p/*")))
    denied(own("iam").get_role, "AccessDenied", 403, "iam:GetRole", RoleName="none")
    # What cannot be judged here is said, and not guessed.
    where = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document(allow("ec2:*", Condition=where)))
    refused("NotSimulated", own("ec2").describe_vpcs)
    iam.detach_role_policy(RoleName="cluster", PolicyArn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
    iam.delete_role(RoleName="cluster")


def sessions():
    """A session may do what its role may, at once what it may by then."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName="ci", Path="/teams/", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    own = clients(sts.assume_role(RoleArn=arn, RoleSessionName="run")["Credentials"])
    assert own("sts").get_caller_identity()["Arn"].endswith(":assumed-role/ci/run")
    denied(own("ec2").describe_vpcs, "UnauthorizedOperation", 403, "ec2:DescribeVpcs")
    iam.put_role_policy(RoleName="ci", PolicyName="own", PolicyDocument=document(allow("ec2:Describe*")))
    own("ec2").describe_vpcs()
    refused("UnauthorizedOperation", own("ec2").create_vpc, CidrBlock="10.0.0.0/16")
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.attach_role_policy(RoleName="ci", PolicyArn=administrator)
    assert own("iam").get_role(RoleName="ci")["Role"]["Arn"] == arn
    return arn, administrator


def simulations(arn, administrator):
    """What IAM says beforehand is what holds then."""

    def decisions(source, actions, **more):
        pages = iam.get_paginator("simulate_principal_policy")
        pages = pages.paginate(PolicySourceArn=source, ActionNames=actions, PaginationConfig={"PageSize": 2}, **more)
        results = [result for page in pages for result in page["EvaluationResults"]]
        assert [one["EvalActionName"] for one in results] == actions, results
        return [one["EvalDecision"] for one in results], results

    actions = ["ec2:DescribeVpcs", "ec2:CreateVpc", "iam:DeleteUser"]
    assert decisions(arn, actions)[0] == ["allowed"] * 3
    iam.detach_role_policy(RoleName="ci", PolicyArn=administrator)
    assert decisions(arn, actions)[0] == ["allowed", "implicitDeny", "implicitDeny"]
    user = iam.get_user(UserName="bob")["User"]["Arn"]
    statements = (
        allow("ec2:CreateVpc", Condition={"StringEquals": {"aws:RequestedRegion": "us-west-2"}}),
        allow("iam:*", "arn:aws:iam::*:user/a/*"),
        {"Effect": "Deny", "Action": "iam:DeleteUser", "Resource": "arn:aws:iam::*:user/a/b"},
    )
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document(*statements))
    found, results = decisions(user, actions)
    assert found == ["implicitDeny"] * 3, found
    assert results[1]["MissingContextValues"] == ["aws:RequestedRegion"] and not results[2]["MissingContextValues"]
    entry = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": ["us-west-2"]}
    assert decisions(user, actions, ContextEntries=[entry])[0] == ["implicitDeny", "allowed", "implicitDeny"]
    # The strictest decision of all resources stands above each one's own.
    names = [f"arn:aws:iam::111122223333:user/a/{name}" for name in "ab"]
    (decision,), (result,) = decisions(user, ["iam:DeleteUser"], ResourceArns=names)
    each = {one["EvalResourceName"]: one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]}
    assert decision == "explicitDeny" and each == {names[0]: "allowed", names[1]: "explicitDeny"}, result
    assert decisions(sts.get_caller_identity()["Arn"], actions)[0] == ["allowed"] * 3
    session = "arn:aws:sts::111122223333:assumed-role/ci/run"
    refused("InvalidInput", iam.simulate_principal_policy, PolicySourceArn=session, ActionNames=actions)
    refused("InvalidInput", iam.simulate_principal_policy, PolicySourceArn=arn.split("role/")[0] + "root", ActionNames=actions)
    refused("NoSuchEntity", iam.simulate_principal_policy, PolicySourceArn=f"{arn}x", ActionNames=actions)


def clean():
    iam.delete_role_policy(RoleName="ci", PolicyName="own")
    iam.delete_role(RoleName="ci")
    iam.delete_user_policy(UserName="bob", PolicyName="own")
    for key in iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="bob", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="bob")


users()
words()
simulations(*sessions())
clean()
