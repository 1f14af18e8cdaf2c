//! Launch templates and their versions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::resource::{Resource, Words, answer};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::tokens::{Replay, remember, replay};

/// A launch template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LaunchTemplate {
    pub(crate) id: String,
    created: Time,
    creator: String,
    pub(crate) name: String,
    pub(crate) default: i64,
    /// The first has the number 1.
    pub(crate) versions: Vec<Version>,
    pub(crate) tags: Tags,
}

/// A version: the data as they were given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    created: Time,
    description: Option<String>,
    pub(crate) data: Value,
}

impl Resource for LaunchTemplate {
    const WORDS: Words = Words {
        prefix: "lt",
        noun: "launch template",
        not_found: "InvalidLaunchTemplateId.NotFound",
        malformed: "InvalidLaunchTemplateId.Malformed",
        tagged: "launch-template",
        ids: "LaunchTemplateId",
        set: "launchTemplates",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("launch-template-name", "launchTemplateName"),
        ("create-time", "createTime"),
    ];

    fn created(&self) -> Time {
        self.created
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }

    fn show(&self, scene: &Scene<'_>) -> Value {
        json!({
            "launchTemplateId": self.id,
            "launchTemplateName": self.name,
            "createTime": self.created.iso(),
            "createdBy": self.creator,
            "defaultVersionNumber": self.default,
            "latestVersionNumber": self.latest(),
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

impl LaunchTemplate {
    fn latest(&self) -> i64 {
        i64::try_from(self.versions.len()).unwrap_or(i64::MAX)
    }

    /// The number that a text means: `$Default`, `$Latest` or itself.
    fn number(&self, text: &str) -> Result<i64, ApiError> {
        let number = match text {
            "$Default" | "" => Some(self.default),
            "$Latest" => Some(self.latest()),
            text => text.parse().ok(),
        };
        number
            .filter(|number| (1..=self.latest()).contains(number))
            .ok_or_else(|| {
                let message = format!("Could not find the specified version {text} for the launch template with ID {}.", self.id);
                ApiError::new("InvalidLaunchTemplateId.VersionNotFound", message)
            })
    }

    fn version(&self, number: i64) -> Option<&Version> {
        self.versions.get(usize::try_from(number - 1).ok()?)
    }

    fn show_version(&self, number: i64) -> Value {
        let version = self.version(number);
        json!({
            "launchTemplateId": self.id,
            "launchTemplateName": self.name,
            "versionNumber": number,
            "versionDescription": version.and_then(|version| version.description.as_ref()),
            "createTime": version.map(|version| version.created.iso()),
            "createdBy": self.creator,
            "defaultVersion": number == self.default,
            "launchTemplateData": version.map(|version| as_shown(&version.data)),
        })
    }
}

/// Data as replies spell them: names begin in lower case, lists are sets.
fn as_shown(data: &Value) -> Value {
    let Some(map) = data.as_object() else {
        return data.clone();
    };
    let mut shown = Map::new();
    for (name, value) in map {
        let mut lower = name.clone();
        if let Some(first) = lower.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        let items = Params::new(data).items(name);
        if items.is_empty() {
            shown.insert(lower, as_shown(value));
        } else {
            shown.insert(
                format!("{lower}Set"),
                items.into_iter().map(as_shown).collect(),
            );
        }
    }
    // Groups of an interface are called otherwise than those of a template.
    if map.contains_key("DeviceIndex")
        && let Some(groups) = shown.shift_remove("securityGroupIdSet")
    {
        shown.insert("groupSet".to_owned(), groups);
    }
    Value::Object(shown)
}

const NAMED: &[&str] = &["LaunchTemplateId", "LaunchTemplateName"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateLaunchTemplate",
        &[
            "LaunchTemplateName",
            "LaunchTemplateData",
            "VersionDescription",
            "ClientToken",
            "TagSpecification",
        ],
        create_launch_template,
    ),
    Action::write(
        "CreateLaunchTemplateVersion",
        &[
            "LaunchTemplateId",
            "LaunchTemplateName",
            "LaunchTemplateData",
            "SourceVersion",
            "VersionDescription",
            "ClientToken",
        ],
        create_launch_template_version,
    ),
    Action::write("DeleteLaunchTemplate", NAMED, delete_launch_template),
    Action::write(
        "ModifyLaunchTemplate",
        &[
            "LaunchTemplateId",
            "LaunchTemplateName",
            "SetDefaultVersion",
            "ClientToken",
        ],
        modify_launch_template,
    ),
    Action::read(
        "DescribeLaunchTemplates",
        &[
            "LaunchTemplateId",
            "LaunchTemplateName",
            "Filter",
            "MaxResults",
            "NextToken",
        ],
        describe_launch_templates,
    ),
    Action::read(
        "DescribeLaunchTemplateVersions",
        &[
            "LaunchTemplateId",
            "LaunchTemplateName",
            "LaunchTemplateVersion",
            "MaxResults",
            "NextToken",
            "Filter",
        ],
        describe_launch_template_versions,
    ),
];

/// The identifier of the template that is named by identifier or name.
fn named(scene: &Scene<'_>, params: Params<'_>) -> Result<String, ApiError> {
    let templates = &scene.region.ec2.launch_templates;
    match (
        params.text("LaunchTemplateId"),
        params.text("LaunchTemplateName"),
    ) {
        (Some(id), _) => {
            let found = templates.get(id).map(|template| template.id.clone());
            found.ok_or_else(|| {
                let message = format!(
                    "The specified launch template, with template ID {id}, does not exist."
                );
                ApiError::new("InvalidLaunchTemplateId.NotFound", message)
            })
        }
        (None, Some(name)) => {
            let found = templates.values().find(|template| template.name == name);
            found.map(|template| template.id.clone()).ok_or_else(|| {
                let message = format!(
                    "The specified launch template, with template name {name}, does not exist."
                );
                ApiError::new("InvalidLaunchTemplateName.NotFoundException", message)
            })
        }
        (None, None) => Err(ApiError::missing("LaunchTemplateId")),
    }
}

/// The data of the version that a `LaunchTemplate` parameter names.
///
/// # Errors
/// When there is no such template or version.
pub(crate) fn data(scene: &Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = named(scene, params)?;
    let template = &scene.region.ec2.launch_templates[&id];
    let number = template.number(params.text("Version").unwrap_or("$Default"))?;
    Ok(template
        .version(number)
        .map(|version| version.data.clone())
        .unwrap_or_default())
}

fn given_data(params: Params<'_>) -> Result<Value, ApiError> {
    let data = params.section("LaunchTemplateData");
    data.map(|data| data.tree().clone())
        .ok_or_else(|| ApiError::missing("LaunchTemplateData"))
}

fn create_launch_template(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        Replay::Again(id) => id,
        first => {
            let name = params.need("LaunchTemplateName")?;
            let data = given_data(params)?;
            let tags = tags::specified(params, "launch-template", &[])?;
            let mut others = scene.region.ec2.launch_templates.values();
            if others.any(|other| other.name == name) {
                let message = "Launch template name already in use.";
                return Err(ApiError::new(
                    "InvalidLaunchTemplateName.AlreadyExistsException",
                    message,
                ));
            }
            let id = scene.core.ids.ec2("lt");
            let template = LaunchTemplate {
                id: id.clone(),
                created: scene.now,
                creator: scene.caller.arn.clone(),
                name: name.to_owned(),
                default: 1,
                versions: vec![Version {
                    created: scene.now,
                    description: params.text("VersionDescription").map(str::to_owned),
                    data,
                }],
                tags: Tags::new(tags),
            };
            scene
                .region
                .ec2
                .launch_templates
                .insert(id.clone(), template);
            remember(scene, first, &id);
            id
        }
    };
    let template = scene.region.ec2.launch_templates.get(&id);
    Ok(json!({ "launchTemplate": template.map(|template| template.show(scene)) }))
}

fn create_launch_template_version(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let id = named(scene, params)?;
    let number = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        Replay::Again(number) => number.parse().unwrap_or(1),
        first => {
            let template = &scene.region.ec2.launch_templates[&id];
            let mut data = match params.text("SourceVersion") {
                Some(source) => {
                    let source = template.version(template.number(source)?);
                    source
                        .map(|version| version.data.clone())
                        .unwrap_or_default()
                }
                None => json!({}),
            };
            if let (Some(all), Value::Object(new)) = (data.as_object_mut(), given_data(params)?) {
                all.extend(new);
            }
            let version = Version {
                created: scene.now,
                description: params.text("VersionDescription").map(str::to_owned),
                data,
            };
            let number = template.latest() + 1;
            if let Some(template) = scene.region.ec2.launch_templates.get_mut(&id) {
                template.versions.push(version);
            }
            remember(scene, first, &number.to_string());
            number
        }
    };
    let template = &scene.region.ec2.launch_templates[&id];
    Ok(json!({ "launchTemplateVersion": template.show_version(number) }))
}

fn delete_launch_template(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = named(scene, params)?;
    let template = scene.region.ec2.launch_templates.remove(&id);
    Ok(json!({ "launchTemplate": template.map(|template| template.show(scene)) }))
}

fn modify_launch_template(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = named(scene, params)?;
    let template = &scene.region.ec2.launch_templates[&id];
    let number = template.number(params.need("SetDefaultVersion")?)?;
    if let Some(template) = scene.region.ec2.launch_templates.get_mut(&id) {
        template.default = number;
    }
    let template = &scene.region.ec2.launch_templates[&id];
    Ok(json!({ "launchTemplate": template.show(scene) }))
}

fn describe_launch_templates(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (ids, names) = (
        params.texts("LaunchTemplateId"),
        params.texts("LaunchTemplateName"),
    );
    let templates = &scene.region.ec2.launch_templates;
    for id in &ids {
        named(scene, Params::new(&json!({ "LaunchTemplateId": id })))?;
    }
    for name in &names {
        named(scene, Params::new(&json!({ "LaunchTemplateName": name })))?;
    }
    let all = ids.is_empty() && names.is_empty();
    let found = templates
        .values()
        .filter(|one| {
            let asked = ids.contains(&one.id.as_str()) || names.contains(&one.name.as_str());
            asked || (all && scene.listed(one.created))
        })
        .map(|one| (one.id.clone(), &one.tags, one.show(scene)))
        .collect();
    answer(
        scene,
        params,
        found,
        LaunchTemplate::FILTERS,
        "launchTemplates",
        all,
    )
}

fn describe_launch_template_versions(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let id = named(scene, params)?;
    let template = &scene.region.ec2.launch_templates[&id];
    let asked = params.texts("LaunchTemplateVersion");
    let mut numbers = Vec::new();
    for text in &asked {
        numbers.push(template.number(text)?);
    }
    if asked.is_empty() {
        numbers = (1..=template.latest()).collect();
    }
    let none = Tags::default();
    let found = numbers
        .into_iter()
        .map(|number| (format!("{number:06}"), &none, template.show_version(number)))
        .collect();
    answer(
        scene,
        params,
        found,
        &[],
        "launchTemplateVersionSet",
        asked.is_empty(),
    )
}
