//! Error codes of steps and removals, for `pipectl explain` and the reference.

/// Code, meaning, what to do.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "ACC001",
        "The credentials are of another AWS account than the one that the environment lives in, or that the pipeline file names. Nothing was changed.",
        "use credentials of that account (spec.provider.eks.profile or roleArn), or choose another --env",
    ),
    (
        "ACC002",
        "The environment lives in another AWS region. Nothing was changed.",
        "put spec.provider.eks.region back, or choose another --env",
    ),
    (
        "ACC003",
        "The credentials end before the run would. Nothing was changed.",
        "renew them, or use a role that is assumed anew: spec.provider.eks.roleArn",
    ),
    (
        "ACC004",
        "An availability zone cannot be used: the region has none of that name, EKS puts no control plane into it, or it does not offer the instance types. Nothing was changed.",
        "name other zones in spec.network.zones, or none",
    ),
    (
        "ACC005",
        "The region does not offer an instance type. Nothing was changed.",
        "name another one in the node group's instanceTypes",
    ),
    (
        "ACC006",
        "An instance type has another processor architecture than its node group. Nothing was changed.",
        "set the group's architecture, or other instance types",
    ),
    (
        "ACC007",
        "EKS does not offer the Kubernetes version. Nothing was changed.",
        "set spec.cluster.kubernetesVersion to one of those that the message names",
    ),
    (
        "ACC008",
        "A quota of the AWS account leaves too little room. Nothing was changed.",
        "free some of what it counts, or have it raised in Service Quotas",
    ),
    (
        "ACC009",
        "An EKS cluster of that name exists and is not this environment's. Nothing was changed.",
        "set spec.cluster.name to another name, or choose another --env",
    ),
    (
        "ACC010",
        "The account holds another environment of the same name, with another UID.",
        "choose another name with --env, or work on that environment from where its state is kept",
    ),
    (
        "ACC011",
        "The VPC's address range overlaps with that of a VPC it is to be peered with, or that VPC is not there. Nothing was changed.",
        "set spec.network.cidr to a range apart from it, or correct spec.network.peers",
    ),
    (
        "ACC012",
        "The caller's own policies do not allow what the environment needs. IAM's policy simulator was asked before anything was made; conditions and policies of an organization, which it cannot judge, never lead here. Nothing was changed.",
        "have the permissions that the message names allowed; docs/reference/aws-permissions.json is a policy with all of them. Where IAM's simulator errs, take iam:SimulatePrincipalPolicy away from the caller: then nothing is asked",
    ),
    (
        "ACC013",
        "The pipeline file gives the environment's EKS cluster another name. EKS cannot rename a cluster, and a second one beside the first would be made. Nothing was changed.",
        "put spec.cluster.name back, or take the environment down and bring it up anew",
    ),
    (
        "ADD001",
        "EKS does not offer an add-on in that version for the Kubernetes version.",
        "name one of those that the message lists, or none",
    ),
    (
        "ADD002",
        "An EKS add-on could not be installed or changed.",
        "see the issues that EKS reports, mend them, and run pipectl up",
    ),
    (
        "CLD001",
        "The pipeline needs an AWS account, and the run was begun without a way to one.",
        "check spec.provider",
    ),
    (
        "CLD002",
        "Something is needed that only an earlier step makes known.",
        "run pipectl up; a plan shows it as not known yet",
    ),
    (
        "CLD003",
        "AWS answers every attempt to create something with one that came to nothing before.",
        "wait an hour until AWS forgets the failed ones, then run pipectl up",
    ),
    (
        "CLD004",
        "Several resources are this environment's and one step's, more than one of them is in use, and none is recorded. pipectl never guesses.",
        "see which one is right, delete the others, and run pipectl up",
    ),
    (
        "CLD005",
        "Something that only looks was about to change something.",
        "report it: this is a mistake in pipectl",
    ),
    (
        "DWN002",
        "A namespace cannot finish its deletion. Its conditions name what remains: objects with finalizers, or an API group whose service does not answer.",
        "delete the APIService that the condition names, or make its service answer; then run pipectl down again",
    ),
    (
        "DWN003",
        "Something of the environment is still there after everything was removed.",
        "see the chain of what holds it, mend that, and run pipectl down again; the environment's identity stays until then",
    ),
    (
        "DWN004",
        "Something that is not this environment's holds something that is to be deleted. pipectl deletes nobody else's things.",
        "remove it where it is managed, then run pipectl down again",
    ),
    (
        "DWN005",
        "Something that this environment made or recorded carries its tags no more: by them it is nobody's, or another environment's. pipectl deletes only what says whose it is, and leaves a cluster that lost its tags with all that it stands on.",
        "put the tag back with the command that the message names, and run pipectl down again; or remove it by hand",
    ),
    (
        "EKS001",
        "The EKS cluster that the steps after it need is not there, or not active.",
        "run pipectl up again",
    ),
    (
        "EKS002",
        "An EKS control plane came to nothing.",
        "mend what its issues name, then: pipectl down, pipectl up",
    ),
    (
        "EKS003",
        "EKS does not go to that Kubernetes version from the one that runs: never back, and up by one minor version at a time, the nodes with it.",
        "name the next minor version in spec.cluster.kubernetesVersion and run pipectl up for each; to go back, take the environment down and bring it up anew",
    ),
    (
        "EKS004",
        "The encryption of Kubernetes Secrets cannot be taken back.",
        "set spec.cluster.encryptSecrets to true again",
    ),
    (
        "EKS005",
        "The key that encrypts Kubernetes Secrets is disabled or about to be deleted.",
        "enable it in KMS, or cancel its deletion",
    ),
    (
        "EKS006",
        "The EKS cluster is being deleted.",
        "wait until it is gone, then run pipectl up",
    ),
    (
        "EKS007",
        "EKS gave up a change of the cluster.",
        "mend what it names, then run pipectl up",
    ),
    (
        "ENV001",
        "The cluster holds another environment of the same name, with another UID.",
        "choose another name with --env, or work on that environment from where its state is kept",
    ),
    (
        "ENV002",
        "The environment lives in another cluster than the one that answers. Nothing was changed.",
        "check the kubeconfig and context of the pipeline file, or choose another name with --env",
    ),
    (
        "KFK001",
        "The Strimzi operator refuses the Kafka specification.",
        "correct the field that the operator names, then run pipectl up",
    ),
    (
        "KFK002",
        "The Strimzi operator does not run this Kafka version.",
        "set spec.kafka.version to one that it runs (pipectl explain CFG014 lists them), or change spec.strimzi.version",
    ),
    (
        "KFK003",
        "Kafka cannot go from its current version to the wanted one in one step.",
        "go to the newest version between the two first",
    ),
    (
        "KFK004",
        "The topic operator refuses a topic: an impossible change (fewer partitions, other replicas) or a conflict of two topics.",
        "correct the topic in the pipeline file; to shrink one, delete it and make it again",
    ),
    (
        "KFK005",
        "Claims of an earlier Kafka of the same name are still there. Their volumes name the old cluster, and every new broker would end with \"Invalid cluster.id\".",
        "delete the claims if nobody needs their data, or give the new Kafka another name",
    ),
    (
        "NET001",
        "A change touches something of the network that AWS cannot change: a range, a zone, or the VPC and zones of a control plane.",
        "put the pipeline file back, or take the environment down and bring it up anew",
    ),
    (
        "NET002",
        "A piece of the network came to nothing.",
        "mend what its code names, then run pipectl up: it makes another one",
    ),
    (
        "NET003",
        "A piece of the network that is needed is being deleted by somebody.",
        "let that end, then run pipectl up: it makes another one",
    ),
    (
        "NET004",
        "A VPC or subnet that the pipeline file names does not exist in this account and region.",
        "check the ids in spec.network.existingVpc",
    ),
    (
        "NET005",
        "EKS cannot use the VPC or the subnets that the pipeline file names.",
        "see the message; EKS needs private subnets in two zones and DNS in the VPC",
    ),
    (
        "NET006",
        "A network interface is still in use.",
        "see what uses it; it goes with that",
    ),
    (
        "NOD001",
        "A node group cannot come up.",
        "see the issues that EKS reports: capacity, quotas, roles, or nodes that do not join",
    ),
    (
        "NOD002",
        "Instances of a node group run and do not join the cluster.",
        "check that the nodes' subnets reach the API server and the internet",
    ),
    (
        "NOD003",
        "EKS gave up a change of a node group.",
        "mend what it names, then run pipectl up",
    ),
    (
        "POD001",
        "A pod's image cannot be pulled.",
        "check the image's name and tag and whether the nodes may pull it: mirrors.images, pull secrets, the network",
    ),
    (
        "POD002",
        "A container crashes again and again, or its pod failed.",
        "read what it said: kubectl logs --previous",
    ),
    (
        "POD003",
        "No node takes a pod: too little free CPU or memory, taints, or a claim bound elsewhere.",
        "add or enlarge nodes, or lower what the pod asks for; kubectl describe node shows what is free",
    ),
    (
        "POD004",
        "A container was killed because it used more memory than its limit.",
        "raise the container's memory limit, or the program's own bound below it",
    ),
    (
        "POD005",
        "A deployment made no progress within its own deadline (progressDeadlineSeconds).",
        "see its pods and events: kubectl describe deployment",
    ),
    (
        "POD006",
        "A job failed.",
        "read its pods' logs, mend the cause, and run pipectl up",
    ),
    (
        "POD007",
        "A container cannot be created: what it names (a ConfigMap, a Secret, a key) does not exist.",
        "create what it names, or correct the name",
    ),
    (
        "SEC007",
        "A secret reference names a file of the blueprint itself, and that file is not there or is not text.",
        "correct the path in the pipeline file, or name a file on disk or an environment variable",
    ),
    (
        "SPK001",
        "A Spark application failed and its restart policy does not start it again.",
        "mend what the driver's log names, then run pipectl up: it submits the application anew",
    ),
    (
        "SPK002",
        "A Spark application could not be submitted.",
        "see the end of spark-submit's output; often the service account, the image, or the address of the program file",
    ),
    (
        "SPK003",
        "The Spark operator does not look at an application.",
        "check that it runs, and that it watches the application's namespace: spec.sparkOperator.jobNamespaces",
    ),
    (
        "SPK004",
        "The driver of an application's old run does not end, and the new run would need its name.",
        "wait for the pod to end, or see what holds it (kubectl describe pod); then run pipectl up again",
    ),
    (
        "STG001",
        "An object of that name exists and is somebody else's. pipectl never takes over what it did not make.",
        "choose another name in the pipeline file, or delete the object yourself if nobody needs it",
    ),
    (
        "STG002",
        "A change touches a field that cannot change once it is set.",
        "delete the object and run pipectl up again: what it holds or serves is interrupted meanwhile",
    ),
    (
        "STG004",
        "The cluster does not serve a kind that is needed (yet).",
        "its definitions come with the operator's stage; an operator of your own must be installed first",
    ),
    (
        "STG005",
        "An earlier object of that name is still being deleted.",
        "wait for it to go, then run pipectl up again",
    ),
    (
        "STG006",
        "A Helm release of that name exists and is somebody else's.",
        "choose another release name in the pipeline file, or uninstall that release if nobody needs it",
    ),
    (
        "STG007",
        "The pipeline file says that the user brings an object, and it does not exist.",
        "create it, or let pipectl create it (createdBy: pipectl)",
    ),
    (
        "STG008",
        "An operator's chart ships no CRDs.",
        "check the chart's name and version: is it the operator's own chart?",
    ),
    (
        "STG009",
        "The run is being cancelled, so nothing new is begun.",
        "run the same command again: it goes on from here",
    ),
    (
        "STG010",
        "The names of a CustomResourceDefinition are taken by another one.",
        "see which definition has them: kubectl get crds",
    ),
    (
        "STG011",
        "The volume behind a claim is gone.",
        "delete the claim and run pipectl up again; its data is lost",
    ),
    (
        "STG012",
        "The cluster keeps custom resources in an API version that the new release of their operator does not know any more.",
        "upgrade through a release that serves both versions and convert the objects, or take the environment down and bring it up anew",
    ),
    (
        "STG013",
        "What the pipeline has no place for any more was asked to go and is still there.",
        "see the finalizers that hold it; once their controller lets go, run pipectl up again",
    ),
    (
        "VER001",
        "Everything is up, and a check of the verification saw something else than expected.",
        "see each failed check with what was expected and seen, and the command to look for yourself",
    ),
];

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn every_code_used_in_this_crate_is_explained() {
        // The sources are read as they are: a code is a quoted word of three capitals and three digits.
        fn visit(directory: &std::path::Path, found: &mut Vec<(String, String)>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, found);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for part in text.split('"').skip(1).step_by(2) {
                        let (letters, digits) = part.split_at_checked(3).unwrap_or_default();
                        if part.len() == 6
                            && letters.bytes().all(|byte| byte.is_ascii_uppercase())
                            && digits.bytes().all(|byte| byte.is_ascii_digit())
                        {
                            found.push((part.to_owned(), path.display().to_string()));
                        }
                    }
                }
            }
        }
        let mut found = Vec::new();
        visit(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        assert!(found.len() > 20);
        for (code, file) in found {
            // Codes of ports and of the engine, which examples and fakes name, are explained where they belong.
            if ["K8S", "HLM", "ENG", "AWS"]
                .iter()
                .any(|other| code.starts_with(other))
                || file.contains("/src/testing/")
            {
                continue;
            }
            assert!(CODES.iter().any(|row| row.0 == code), "{code} in {file}");
        }
    }
}
