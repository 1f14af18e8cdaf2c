//! What a user of the sandbox has to be told: where the cluster, the charts and helm are.

use std::path::PathBuf;

use crate::aws::AwsCredentials;
use crate::control::{AwsAccess, SandboxStatus};
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

/// The entrance to a sandbox's plain cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterEntrance {
    /// The sandbox's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
}

/// Settings that lead pipectl to a sandbox: all of them settings that any user could give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSettings {
    /// Mirror map: chart sources that begin with the first are to be taken from the second.
    pub mirrors: Vec<(String, String)>,
    /// The helm to use.
    pub helm_binary: PathBuf,
    /// The plain cluster, when it is there.
    pub cluster: Option<ClusterEntrance>,
    /// The simulated AWS.
    pub aws: AwsAccess,
}

/// Variables of AWS tools that would lead elsewhere than those of [`Sandbox::env`], or to somebody else's profile;
/// [`shell_exports`] unsets them. Whoever runs a program with the variables of a sandbox leaves these out.
pub const FOREIGN_VARIABLES: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CA_BUNDLE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    // A service's own endpoint precedes the one for all.
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_EKS",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API",
    "AWS_ENDPOINT_URL_SERVICE_QUOTAS",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
];

impl Sandbox {
    /// The settings for a sandbox that has this status.
    ///
    /// # Errors
    /// When it is not up yet, or the programs are gone.
    pub fn settings(&self, status: &SandboxStatus) -> Result<SandboxSettings, SandboxError> {
        let programs = self.programs()?;
        let mirror =
            |(from, path): (&str, &str)| (from.to_owned(), format!("{}{path}", status.charts));
        let aws = status.aws.clone().ok_or_else(|| SandboxError::NotRunning {
            name: self.name().to_owned(),
        })?;
        Ok(SandboxSettings {
            mirrors: CHARTS.into_iter().map(mirror).collect(),
            helm_binary: programs.path(Program::Helm),
            cluster: status.cluster.as_ref().map(|_| ClusterEntrance {
                kubeconfig: self.kubeconfig_path(),
                context: self.context(),
            }),
            aws,
        })
    }

    /// The context in the sandbox's kubeconfig.
    #[must_use]
    pub fn context(&self) -> String {
        format!("pipectl-sandbox-{}", self.name())
    }

    /// Environment variables that point kubectl, helm and AWS tools (AWS CLI, boto3, Terraform) at a sandbox with this status,
    /// in the order to print them. `KUBECONFIG` is among them only while the plain cluster is there. `PATH` is the present one,
    /// the sandbox's programs put in front.
    ///
    /// # Errors
    /// When it is not up yet, or the programs are gone.
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
        let aws = settings.aws;
        let nothing = text(self.layout().aws_nothing());
        let mut variables = vec![("PIPECTL_SANDBOX", self.name().to_owned())];
        if let Some(cluster) = settings.cluster {
            variables.push(("KUBECONFIG", text(cluster.kubeconfig)));
        }
        variables.extend([
            ("PIPECTL_HELM", text(settings.helm_binary)),
            ("PIPECTL_TIME_SCALE", aws.time_scale.to_string()),
            ("HELM_CACHE_HOME", text(home.join("cache"))),
            ("HELM_CONFIG_HOME", text(home.join("config"))),
            ("HELM_DATA_HOME", text(home.join("data"))),
            ("AWS_ENDPOINT_URL", aws.endpoint),
            ("AWS_ACCESS_KEY_ID", aws.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", aws.secret_access_key),
            ("AWS_REGION", aws.region.clone()),
            ("AWS_DEFAULT_REGION", aws.region),
            // No profile and no machine's role ever matters.
            ("AWS_CONFIG_FILE", nothing.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", nothing),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]);
        let own = |(name, value): (&str, String)| (name.to_owned(), value);
        let mut variables: Vec<(String, String)> = variables.into_iter().map(own).collect();
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

    /// The same for somebody else than the account's administrator; see [`Sandbox::aws_user`].
    ///
    /// # Errors
    /// As [`Sandbox::env`].
    pub fn env_as(
        &self,
        status: &SandboxStatus,
        key: &AwsCredentials,
    ) -> Result<Vec<(String, String)>, SandboxError> {
        let mut variables = self.env(status)?;
        for (name, value) in &mut variables {
            match name.as_str() {
                "AWS_ACCESS_KEY_ID" => value.clone_from(&key.access_key_id),
                "AWS_SECRET_ACCESS_KEY" => value.clone_from(&key.secret_access_key),
                _ => {}
            }
        }
        Ok(variables)
    }

    fn programs(&self) -> Result<Programs, SandboxError> {
        Programs::installed()?.ok_or_else(|| SandboxError::NotRunning {
            name: self.name().to_owned(),
        })
    }
}

/// Variables as a POSIX shell reads them: first those of [`FOREIGN_VARIABLES`] are unset, then one `export` a line, quoted so
/// that nothing in them is evaluated.
#[must_use]
pub fn shell_exports(variables: &[(String, String)]) -> String {
    let quote = |value: &str| value.replace('\'', r"'\''");
    let exports = variables
        .iter()
        .map(|(name, value)| format!("export {name}='{}'\n", quote(value)));
    std::iter::once(format!("unset {}\n", FOREIGN_VARIABLES.join(" ")))
        .chain(exports)
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
