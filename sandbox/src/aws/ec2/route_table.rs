//! Route tables and their associations.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::net::Cidr;
use super::resource::{Resource, Words, describe, find, find_mut, has_dependencies};
use super::route::{Destination, Route, Target};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::tokens::{Replay, remember, replay};

/// A route table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RouteTable {
    pub(crate) id: String,
    created: Time,
    pub(crate) vpc: String,
    /// Whether subnets without an association use it.
    pub(crate) main: bool,
    /// The identifier of the main association.
    main_association: Option<String>,
    pub(crate) associations: Vec<Association>,
    pub(crate) routes: Vec<Route>,
    tags: Tags,
}

/// A subnet that uses a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) subnet: String,
}

impl RouteTable {
    /// A table with the route to its own VPC.
    pub(crate) fn new(
        scene: &mut Scene<'_>,
        vpc: &str,
        cidr: Cidr,
        main: bool,
        tags: Tags,
    ) -> Self {
        Self {
            id: scene.core.ids.ec2("rtb"),
            created: scene.now,
            vpc: vpc.to_owned(),
            main,
            main_association: main.then(|| scene.core.ids.ec2("rtbassoc")),
            associations: Vec::new(),
            routes: vec![Route {
                destination: Destination::Cidr(cidr),
                target: Target::Local,
            }],
            tags,
        }
    }

    /// Every table of a VPC has a local route for each of the VPC's ranges.
    pub(crate) fn add_local(&mut self, cidr: Cidr) {
        self.routes.push(Route {
            destination: Destination::Cidr(cidr),
            target: Target::Local,
        });
    }
}

impl Resource for RouteTable {
    const WORDS: Words = Words {
        prefix: "rtb",
        noun: "routeTable",
        not_found: "InvalidRouteTableID.NotFound",
        malformed: "InvalidRouteTableId.Malformed",
        tagged: "route-table",
        ids: "RouteTableId",
        set: "routeTableSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("route-table-id", "routeTableId"),
        ("vpc-id", "vpcId"),
        ("owner-id", "ownerId"),
        ("association.main", "associationSet.main"),
        (
            "association.route-table-association-id",
            "associationSet.routeTableAssociationId",
        ),
        ("association.route-table-id", "associationSet.routeTableId"),
        ("association.subnet-id", "associationSet.subnetId"),
        (
            "route.destination-cidr-block",
            "routeSet.destinationCidrBlock",
        ),
        (
            "route.destination-prefix-list-id",
            "routeSet.destinationPrefixListId",
        ),
        ("route.gateway-id", "routeSet.gatewayId"),
        ("route.nat-gateway-id", "routeSet.natGatewayId"),
        ("route.origin", "routeSet.origin"),
        ("route.state", "routeSet.state"),
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
        let association = |id: &String, subnet: Option<&String>| {
            json!({
                "routeTableAssociationId": id,
                "routeTableId": self.id,
                "subnetId": subnet,
                "main": subnet.is_none(),
                "associationState": {"state": "associated"},
            })
        };
        let main = self.main_association.iter().map(|id| association(id, None));
        let others = self
            .associations
            .iter()
            .map(|one| association(&one.id, Some(&one.subnet)));
        let associations: Vec<Value> = main.chain(others).collect();
        let routes: Vec<Value> = self.routes.iter().map(|route| route.show(scene)).collect();
        json!({
            "routeTableId": self.id,
            "vpcId": self.vpc,
            "ownerId": scene.place.account,
            "routeSet": routes,
            "associationSet": associations,
            "propagatingVgwSet": [],
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateRouteTable",
        &["VpcId", "TagSpecification", "ClientToken"],
        create_route_table,
    ),
    Action::write("DeleteRouteTable", &["RouteTableId"], delete_route_table),
    Action::read(
        "DescribeRouteTables",
        &["RouteTableId", "Filter", "MaxResults", "NextToken"],
        describe_route_tables,
    ),
    Action::write(
        "AssociateRouteTable",
        &["RouteTableId", "SubnetId"],
        associate,
    ),
    Action::write("DisassociateRouteTable", &["AssociationId"], disassociate),
    Action::write(
        "ReplaceRouteTableAssociation",
        &["AssociationId", "RouteTableId"],
        replace_association,
    ),
];

fn create_route_table(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        Replay::Again(id) => id,
        first => {
            let vpc = find(&scene.region.ec2.vpcs, params.need("VpcId")?)?;
            let (vpc, cidr, further) = (vpc.id.clone(), vpc.cidr, vpc.further());
            let tags = tags::specified(params, "route-table", &[])?;
            let mut tables = scene.region.ec2.route_tables.values();
            let quota = scene.quota("L-589F43AA");
            if tables.by_ref().filter(|table| table.vpc == vpc).count() >= quota {
                let message = "The maximum number of route tables has been reached.";
                return Err(ApiError::new("RouteTableLimitExceeded", message));
            }
            let mut table = RouteTable::new(scene, &vpc, cidr, false, Tags::new(tags));
            further.into_iter().for_each(|cidr| table.add_local(cidr));
            let id = table.id.clone();
            scene.region.ec2.route_tables.insert(id.clone(), table);
            remember(scene, first, &id);
            id
        }
    };
    let table = find(&scene.region.ec2.route_tables, &id)?;
    Ok(json!({"routeTable": table.show(scene), "clientToken": params.text("ClientToken")}))
}

fn delete_route_table(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("RouteTableId")?;
    let ec2 = &mut scene.region.ec2;
    let table = find(&ec2.route_tables, id)?;
    if table.main || !table.associations.is_empty() {
        return Err(has_dependencies::<RouteTable>(id));
    }
    ec2.route_tables.remove(id);
    for endpoint in ec2.endpoints.values_mut() {
        endpoint.route_tables.retain(|table| table != id);
    }
    Ok(json!({"return": true}))
}

fn describe_route_tables(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.route_tables)
}

fn associate(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (id, subnet) = (params.need("RouteTableId")?, params.need("SubnetId")?);
    let ec2 = &scene.region.ec2;
    let table = find(&ec2.route_tables, id)?;
    let of = find(&ec2.subnets, subnet)?;
    if of.vpc != table.vpc {
        let message = format!("route table {id} and subnet {subnet} belong to different networks");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    // Associating a subnet once more with its table is no error: the association is shown again.
    let mut own = table.associations.iter();
    if let Some(own) = own.find(|association| association.subnet == subnet) {
        return Ok(json!({"associationId": own.id, "associationState": {"state": "associated"}}));
    }
    let mut others = ec2
        .route_tables
        .values()
        .flat_map(|table| &table.associations);
    if others.any(|association| association.subnet == subnet) {
        let message = format!(
            "the specified association for route table {id} conflicts with an existing association"
        );
        return Err(ApiError::new("Resource.AlreadyAssociated", message));
    }
    let association = add_association(scene, id, subnet)?;
    Ok(json!({"associationId": association, "associationState": {"state": "associated"}}))
}

fn add_association(scene: &mut Scene<'_>, table: &str, subnet: &str) -> Result<String, ApiError> {
    let association = Association {
        id: scene.core.ids.ec2("rtbassoc"),
        subnet: subnet.to_owned(),
    };
    let id = association.id.clone();
    let table = find_mut(&mut scene.region.ec2.route_tables, table)?;
    table.associations.push(association);
    Ok(id)
}

fn no_association(id: &str) -> ApiError {
    let message = format!("The association ID '{id}' does not exist");
    ApiError::new("InvalidAssociationID.NotFound", message)
}

fn disassociate(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("AssociationId")?;
    let tables = &mut scene.region.ec2.route_tables;
    if tables
        .values()
        .any(|table| table.main_association.as_deref() == Some(id))
    {
        let message = format!("cannot disassociate the main route table association {id}");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let has = |table: &&mut RouteTable| table.associations.iter().any(|one| one.id == id);
    let table = tables
        .values_mut()
        .find(has)
        .ok_or_else(|| no_association(id))?;
    table
        .associations
        .retain(|association| association.id != id);
    Ok(json!({"return": true}))
}

fn replace_association(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (id, wanted) = (params.need("AssociationId")?, params.need("RouteTableId")?);
    let tables = &mut scene.region.ec2.route_tables;
    let vpc = find(tables, wanted)?.vpc.clone();
    let is_main = |table: &&mut RouteTable| table.main_association.as_deref() == Some(id);
    if let Some(main) = tables.values_mut().find(is_main) {
        if main.vpc != vpc {
            return Err(different_networks(wanted, &main.id));
        }
        main.main = false;
        main.main_association = None;
        let new = scene.core.ids.ec2("rtbassoc");
        let table = find_mut(&mut scene.region.ec2.route_tables, wanted)?;
        table.main = true;
        table.main_association = Some(new.clone());
        return Ok(json!({"newAssociationId": new, "associationState": {"state": "associated"}}));
    }
    let has = |table: &&mut RouteTable| table.associations.iter().any(|one| one.id == id);
    let table = tables
        .values_mut()
        .find(has)
        .ok_or_else(|| no_association(id))?;
    if table.vpc != vpc {
        return Err(different_networks(wanted, &table.id));
    }
    let old = table.associations.iter().position(|one| one.id == id);
    let subnet = old.map(|at| table.associations.remove(at).subnet);
    let new = add_association(scene, wanted, &subnet.unwrap_or_default())?;
    Ok(json!({"newAssociationId": new, "associationState": {"state": "associated"}}))
}

fn different_networks(one: &str, other: &str) -> ApiError {
    let message = format!("route table {one} and route table {other} belong to different networks");
    ApiError::new("InvalidParameterValue", message)
}
