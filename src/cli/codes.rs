//! Error codes of the command line itself, for `pipectl explain` and the reference.

/// Code, meaning, what to do.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "CLI001",
        "There is no blueprint of the name that was given.",
        "see `pipectl blueprint list`",
    ),
    (
        "CLI003",
        "Several environments are known here, and the command line names none.",
        "name one; see `pipectl list`",
    ),
    (
        "CLI004",
        "No environment is known here.",
        "bring one up with `pipectl up`, or name one with --env and say where it is with --sandbox, --region or --kubeconfig",
    ),
    (
        "CLI005",
        "`down` asks before it removes anything, and there is no terminal to ask on, or the answer was not the environment's name.",
        "give --yes",
    ),
    (
        "CLI007",
        "A file that the command line names could not be read or written.",
        "check the path and its permissions",
    ),
    (
        "CLI008",
        "The environment was brought up on another provider, region, account or sandbox than the one named now.",
        "name the one it was brought up on, or give the new environment another name with --env",
    ),
    (
        "CLI009",
        "There is no error code of that name.",
        "see `pipectl explain` for all of them",
    ),
    (
        "CLI010",
        "The directory exists and is not empty.",
        "name a new directory",
    ),
    (
        "CLI011",
        "The sandbox has no component of that name.",
        "see `pipectl sandbox logs` for the names",
    ),
    (
        "CLI012",
        "The fault plan is not a list of rules as the sandbox knows them.",
        "see the example in the message, or `pipectl sandbox faults` for the plan in force",
    ),
    (
        "CLI013",
        "Neither the XDG variable nor HOME says where pipectl keeps its files.",
        "set HOME, or XDG_STATE_HOME and XDG_CACHE_HOME, to absolute paths",
    ),
    (
        "CLI014",
        "A look at a step's things took too long.",
        "the cluster is slow or out of reach; try again",
    ),
    (
        "CLI015",
        "A command that only looks was about to change something: a defect of pipectl. Nothing was changed.",
        "report it",
    ),
    (
        "CLI016",
        "The system gives this program no threads or signals to work with.",
        "check the limits on processes (ulimit -u)",
    ),
    (
        "CLI017",
        "Several environments of that name have left things in this cluster or account, and their records are lost.",
        "remove what carries one of the values of pipectl.dev/environment-uid (a label or a tag), then run the command again",
    ),
    (
        "CLI018",
        "An environment of that name lives in the cluster or account, and nothing is recorded of it on this machine: it may be somebody else's.",
        "choose another name with --env, or go on with it with --adopt",
    ),
    (
        "CLI019",
        "A report of the run could not be written; the run went on without it.",
        "check the path of --summary, or where standard output goes",
    ),
    (
        "CLI020",
        "The record of an environment was to be dropped although it is alive: what the environment made there would stay.",
        "remove it with `pipectl down NAME`; or give --force",
    ),
    (
        "CLI021",
        "No pipeline was named, and the built-in blueprint would go to an AWS account, where it costs money.",
        "try it on this machine with `pipectl up --sandbox`; or name a file, or the blueprint with --blueprint",
    ),
    (
        "CLI022",
        "A token was asked for an environment that does not live on AWS.",
        "its kubeconfig works as it is; see `pipectl kubeconfig NAME`",
    ),
    (
        "FEN001",
        "The cluster that answers is not the one that the environment was brought up on: the UID of its kube-system namespace or its certificate authority is another. Nothing was changed.",
        "point pipectl at the right cluster; if the old one is gone for good, drop the record with `pipectl forget NAME`",
    ),
    (
        "FEN002",
        "The AWS credentials in use belong to another account than the environment's: the one that the pipeline file names, or the one that its first `up` pinned. Nothing was changed.",
        "use credentials of that account: --profile or --role-arn, spec.provider.eks.profile in the file, or AWS_PROFILE",
    ),
];

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn every_code_used_in_this_crate_is_explained_once() {
        fn visit(directory: &std::path::Path, found: &mut Vec<(String, String)>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, found);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let quoted = text.split('"').skip(1).step_by(2);
                let codes = quoted.filter(|word| {
                    let (letters, digits) = word.split_at_checked(3).unwrap_or_default();
                    ["CLI", "FEN"].contains(&letters)
                        && digits.len() == 3
                        && digits.bytes().all(|byte| byte.is_ascii_digit())
                });
                found.extend(codes.map(|code| (code.to_owned(), path.display().to_string())));
            }
        }
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut found = Vec::new();
        visit(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        assert!(found.len() > 2 * CODES.len(), "{}", found.len());
        for (code, file) in found {
            assert!(CODES.iter().any(|row| row.0 == code), "{code} in {file}");
        }
    }
}
