"""A cluster's API, as far as these tests need it, entered with tokens of the AWS CLI."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import boto3

AWS = shutil.which("aws", path=os.path.dirname(sys.executable))
KNOWN = {}


def token(cluster, fresh=False):
    """What kubectl gets from the AWS CLI, kept as kubectl keeps it."""
    if fresh or cluster not in KNOWN:
        words = [AWS, "eks", "get-token", "--cluster-name", cluster, "--output", "json"]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        KNOWN[cluster] = json.loads(done.stdout)["status"]["token"]
    return KNOWN[cluster]


class Kubernetes:
    def __init__(self, name):
        self.name = name
        cluster = boto3.client("eks").describe_cluster(name=name)["cluster"]
        self.server = cluster["endpoint"]
        authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)

    def call(self, path, bearer, method="GET", body=None, kind="application/json"):
        headers = {"Authorization": "Bearer " + bearer, "Content-Type": kind}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def items(self, path):
        status, reply = self.call(path, token(self.name))
        assert status == 200, reply
        return reply["items"]

    def make(self, path, body):
        status, reply = self.call(path, token(self.name), "POST", body)
        assert status == 201, reply

    def patch(self, path, kind, body):
        status, reply = self.call(path, token(self.name), "PATCH", body, f"application/{kind}-patch+json")
        assert status == 200, reply

    def get(self, path):
        """An object; None when there is none."""
        status, reply = self.call(path, token(self.name))
        assert status in (200, 404), reply
        return reply if status == 200 else None

    def delete(self, path):
        status, reply = self.call(path, token(self.name), "DELETE")
        assert status in (200, 202), reply
