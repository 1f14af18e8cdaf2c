//! pipectl's own kubeconfig for a cluster that EKS describes.

use std::{fmt, path::PathBuf};

use pipectl_stages::ports::entrance::Door;
use serde_json::{Value, json};

/// The program that gives tokens: pipectl itself. Whoever is handed the kubeconfig (Helm, a person's kubectl) runs it.
#[derive(Clone)]
pub struct ExecEntry {
    /// Absolute path of the program.
    pub command: PathBuf,
    /// Its arguments; never a secret among them. `--cluster` and `--region` of the cluster that is entered are added, so
    /// these two are not among them.
    pub args: Vec<String>,
    /// Variables that it gets beside those of its caller; never a secret among them.
    pub env: Vec<(String, String)>,
}

impl fmt::Debug for ExecEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecEntry")
            .field("command", &self.command)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

/// The file's text: one cluster, one user, one context, all of the same name.
pub(super) fn text(door: &Door, context: &str, exec: &ExecEntry) -> String {
    // Which cluster is known only now; with it the program finds its way even where nothing is recorded.
    let which = [
        "--cluster",
        door.cluster.as_str(),
        "--region",
        door.region.as_str(),
    ];
    let args = exec.args.iter().map(String::as_str).chain(which);
    let mut entry = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": exec.command.to_string_lossy(),
        "args": args.collect::<Vec<_>>(),
        "interactiveMode": "Never",
        "provideClusterInfo": false,
    });
    if !exec.env.is_empty() {
        let env = exec.env.iter();
        entry["env"] = env
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
    }
    let config: Value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{
            "name": context,
            "cluster": {"server": door.server, "certificate-authority-data": door.ca},
        }],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "users": [{"name": context, "user": {"exec": entry}}],
    });
    // JSON is YAML, so that there is nothing that could go wrong.
    serde_norway::to_string(&config).unwrap_or_else(|_| config.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfig_holds_a_program_and_no_token() {
        let door = Door {
            cluster: "pipectl-a".to_owned(),
            arn: "arn:aws:eks:us-west-2:111122223333:cluster/pipectl-a".to_owned(),
            region: "us-west-2".to_owned(),
            server: "https://a.example".to_owned(),
            ca: "Y2E=".to_owned(),
        };
        let exec = ExecEntry {
            command: "/usr/bin/pipectl".into(),
            args: ["token", "--env", "a"].map(str::to_owned).into(),
            env: vec![("PIPECTL_STATE_DIR".to_owned(), "/state: x".to_owned())],
        };
        let text = text(&door, "a", &exec);
        let read: kube::config::Kubeconfig = serde_norway::from_str(&text).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("a"));
        let user = read.auth_infos[0].auth_info.as_ref().unwrap();
        assert!(user.token.is_none() && user.client_key_data.is_none());
        let program = user.exec.as_ref().unwrap();
        assert_eq!(program.command.as_deref(), Some("/usr/bin/pipectl"));
        assert_eq!(
            program.interactive_mode,
            Some(kube::config::ExecInteractiveMode::Never)
        );
        assert_eq!(
            program.args.as_ref().unwrap().join(" "),
            "token --env a --cluster pipectl-a --region us-west-2"
        );
        assert_eq!(program.env.as_ref().unwrap()[0]["value"], "/state: x");
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://a.example"));
        assert_eq!(cluster.certificate_authority_data.as_deref(), Some("Y2E="));
    }
}
