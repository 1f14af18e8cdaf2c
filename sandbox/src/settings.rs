//! What a user of the sandbox has to be told: where the cluster, the charts and helm are.

use std::path::PathBuf;

use crate::control::SandboxStatus;
use crate::error::SandboxError;
use crate::lifecycle::Sandbox;
use crate::tools::{Program, Programs};

/// Chart repositories that the sandbox stands in for: the address on the internet, and the path on its own server.
///
/// The addresses are those of Strimzi's and the Spark operator's installation guides.
const CHARTS: [(&str, &str); 2] = [
    ("https://strimzi.io/charts/", "/strimzi"),
    (
        "https://kubeflow.github.io/spark-operator",
        "/spark-operator",
    ),
];

/// Settings that lead pipectl to a sandbox: all of them settings that any user could give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSettings {
    /// The sandbox's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
    /// Mirror map: chart sources that begin with the first are to be taken from the second.
    pub mirrors: Vec<(String, String)>,
    /// The helm to use.
    pub helm_binary: PathBuf,
}

impl Sandbox {
    /// The settings for a sandbox that has this status.
    ///
    /// # Errors
    /// When the programs are gone.
    pub fn settings(&self, status: &SandboxStatus) -> Result<SandboxSettings, SandboxError> {
        let programs = self.programs()?;
        let mirror =
            |(from, path): (&str, &str)| (from.to_owned(), format!("{}{path}", status.charts));
        Ok(SandboxSettings {
            kubeconfig: self.kubeconfig_path(),
            context: self.context(),
            mirrors: CHARTS.into_iter().map(mirror).collect(),
            helm_binary: programs.path(Program::Helm),
        })
    }

    /// The context in the sandbox's kubeconfig.
    #[must_use]
    pub fn context(&self) -> String {
        format!("pipectl-sandbox-{}", self.name())
    }

    /// Environment variables that point kubectl and helm at a sandbox with this status, in the order to print them.
    /// `PATH` is the present one, the sandbox's programs put in front.
    ///
    /// # Errors
    /// When the programs are gone.
    pub fn env(&self, status: &SandboxStatus) -> Result<Vec<(String, String)>, SandboxError> {
        let settings = self.settings(status)?;
        let programs = self.programs()?;
        let home = self.layout().helm_home();
        let text = |path: PathBuf| path.display().to_string();
        let present = std::env::var("PATH").unwrap_or_default();
        let own = programs.directory().display().to_string();
        // Evaluated twice, it stays as it is.
        let path = if present.split(':').any(|part| part == own) {
            present
        } else {
            format!("{own}:{present}")
        };
        let mut variables = vec![
            ("PIPECTL_SANDBOX".to_owned(), self.name().to_owned()),
            ("KUBECONFIG".to_owned(), text(settings.kubeconfig)),
            ("PIPECTL_HELM".to_owned(), text(settings.helm_binary)),
            ("HELM_CACHE_HOME".to_owned(), text(home.join("cache"))),
            ("HELM_CONFIG_HOME".to_owned(), text(home.join("config"))),
            ("HELM_DATA_HOME".to_owned(), text(home.join("data"))),
        ];
        if let Some(aws) = &status.aws {
            let region = "us-west-2".to_owned();
            variables.extend([
                ("AWS_ENDPOINT_URL".to_owned(), aws.endpoint.clone()),
                ("AWS_ACCESS_KEY_ID".to_owned(), aws.access_key_id.clone()),
                (
                    "AWS_SECRET_ACCESS_KEY".to_owned(),
                    aws.secret_access_key.clone(),
                ),
                ("AWS_REGION".to_owned(), region.clone()),
                ("AWS_DEFAULT_REGION".to_owned(), region),
                ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
            ]);
        }
        for (from, to) in settings.mirrors {
            let name = to
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .replace('-', "_")
                .to_uppercase();
            variables.push((format!("PIPECTL_SANDBOX_CHARTS_{name}"), to));
            variables.push((format!("PIPECTL_SANDBOX_CHARTS_{name}_FOR"), from));
        }
        variables.push(("PATH".to_owned(), path));
        Ok(variables)
    }

    fn programs(&self) -> Result<Programs, SandboxError> {
        Programs::installed()?.ok_or_else(|| SandboxError::NotRunning {
            name: self.name().to_owned(),
        })
    }
}

/// Variables as a POSIX shell reads them: one `export` a line, quoted so that nothing in them is evaluated.
#[must_use]
pub fn shell_exports(variables: &[(String, String)]) -> String {
    let quote = |value: &str| value.replace('\'', r"'\''");
    variables
        .iter()
        .map(|(name, value)| format!("export {name}='{}'\n", quote(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_evaluated() {
        let text = shell_exports(&[("A".to_owned(), "it's $HOME `id`".to_owned())]);
        let shell = std::process::Command::new("sh")
            .args(["-c", &format!("{text}printf %s \"$A\"")])
            .output()
            .unwrap();
        assert_eq!(shell.stdout, b"it's $HOME `id`");
    }
}
