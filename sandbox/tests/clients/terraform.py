"""Terraform and its AWS provider, unchanged: apply, nothing to do, change, nothing to do, destroy. Argument: directory of plugins."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import graph


def terraform(*words, codes=(0,)):
    done = subprocess.run(["terraform", *words, "-no-color"], cwd=work, capture_output=True, text=True)
    assert done.returncode in codes, f"terraform {' '.join(words)}: {done.stdout[-4000:]}{done.stderr}"
    return done.returncode


with tempfile.TemporaryDirectory() as work:
    shutil.copy(Path(__file__).parent / "terraform" / "main.tf", work)
    os.environ.pop("TF_CLI_CONFIG_FILE", None)
    terraform("init", f"-plugin-dir={sys.argv[1]}")
    for changed in ("false", "true"):
        terraform("apply", "-auto-approve", f"-var=changed={changed}")
        again = terraform("plan", "-detailed-exitcode", f"-var=changed={changed}", codes=(0, 2))
        assert again == 0, "there is something to do right after an apply"
    terraform("destroy", "-auto-approve", "-var=changed=true")
assert set(graph()) <= {"kms"}, graph()
