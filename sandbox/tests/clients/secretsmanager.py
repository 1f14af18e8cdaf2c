"""Secrets Manager: versions and their labels, deletion and its window, pages, tags; and that audits show no value."""

import boto3
from common import code, door, graph, refused, until

secrets, tagging = boto3.client("secretsmanager"), boto3.client("resourcegroupstaggingapi")

made = secrets.create_secret(Name="team/db", SecretString='{"user": "me", "password": "hidden-one"}', Description="d",
                             Tags=[{"Key": "team", "Value": "data"}])
start = "arn:aws:secretsmanager:us-west-2:111122223333:secret:team/db-"
assert made["ARN"].startswith(start) and len(made["ARN"]) == len(start) + 6, made
read = secrets.get_secret_value(SecretId=made["ARN"])
assert read["VersionId"] == made["VersionId"] and read["VersionStages"] == ["AWSCURRENT"], read
assert read["Name"] == "team/db" and "SecretBinary" not in read and read["CreatedDate"], read
refused("ResourceExistsException", secrets.create_secret, Name="team/db", SecretString="x")
refused("ValidationException", secrets.create_secret, Name="no blank", SecretString="x")
refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="nobody")
refused("InvalidParameterException", secrets.create_secret, Name="both", SecretString="x", SecretBinary=b"x")

again = secrets.put_secret_value(SecretId="team/db", SecretString="hidden-two")
stages = secrets.describe_secret(SecretId="team/db")["VersionIdsToStages"]
assert stages == {made["VersionId"]: ["AWSPREVIOUS"], again["VersionId"]: ["AWSCURRENT"]}, stages
old = secrets.get_secret_value(SecretId="team/db", VersionStage="AWSPREVIOUS")
assert "hidden-one" in old["SecretString"], old
# The same token and value is the same call; another value under it is refused.
same = {"SecretId": "team/db", "ClientRequestToken": again["VersionId"]}
assert secrets.put_secret_value(**same, SecretString="hidden-two")["VersionId"] == again["VersionId"]
refused("ResourceExistsException", secrets.put_secret_value, **same, SecretString="other")
secrets.update_secret(SecretId="team/db", Description="changed")
assert secrets.describe_secret(SecretId="team/db")["Description"] == "changed"
secrets.update_secret(SecretId="team/db", SecretBinary=b"\x00\xff")
assert secrets.get_secret_value(SecretId="team/db")["SecretBinary"] == b"\x00\xff"

secrets.tag_resource(SecretId="team/db", Tags=[{"Key": "more", "Value": "v"}])
secrets.untag_resource(SecretId="team/db", TagKeys=["team"])
assert secrets.describe_secret(SecretId="team/db")["Tags"] == [{"Key": "more", "Value": "v"}]
tagged = {"TagFilters": [{"Key": "more"}], "ResourceTypeFilters": ["secretsmanager:secret"]}
until("the tag is seen", lambda: [one["ResourceARN"] for one in tagging.get_resources(**tagged)["ResourceTagMappingList"]]
      == [made["ARN"]])

for index in range(5):
    secrets.create_secret(Name=f"page/{index}", SecretString="hidden-three")
pages = secrets.get_paginator("list_secrets")
all_names = lambda **more: [one["Name"] for page in pages.paginate(**more) for one in page["SecretList"]]
until("all are listed", lambda: len(all_names()) == 6)
assert sorted(all_names(PaginationConfig={"PageSize": 2})) == sorted(all_names())
by_name = [{"Key": "name", "Values": ["page/"]}]
assert all_names(Filters=by_name, SortOrder="asc") == [f"page/{index}" for index in range(5)]

shown = str(door("GET", "inspect"))
assert "team/db" in shown and "hidden" not in shown, shown

for index in range(4):
    secrets.delete_secret(SecretId=f"page/{index}", ForceDeleteWithoutRecovery=True)
gone = secrets.delete_secret(SecretId="page/4", RecoveryWindowInDays=7)
assert 6.9 < (gone["DeletionDate"] - secrets.describe_secret(SecretId="page/4")["CreatedDate"]).total_seconds() / 86400 < 7.1
refused("InvalidRequestException", secrets.get_secret_value, SecretId="page/4")
refused("InvalidRequestException", secrets.create_secret, Name="page/4", SecretString="x")
refused("InvalidParameterException", secrets.delete_secret, SecretId="team/db", RecoveryWindowInDays=7,
        ForceDeleteWithoutRecovery=True)
refused("ResourceNotFoundException", secrets.delete_secret, SecretId="nobody")
assert code(secrets.delete_secret, SecretId="nobody", ForceDeleteWithoutRecovery=True) is None
assert all_names() == ["team/db"], all_names()
secrets.restore_secret(SecretId="page/4")
assert secrets.get_secret_value(SecretId="page/4")["SecretString"] == "hidden-three"
for name in ("page/4", "team/db"):
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
assert "secrets" not in graph(), graph()
