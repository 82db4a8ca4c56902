//! Create, delete, enlarge, list. The node refuses what it does not support with a status that names it. Lists of kinds of
//! objects that it never has are empty.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use fluvio_controlplane_metadata::mirror::MirrorSpec;
use fluvio_controlplane_metadata::partition::PartitionSpec;
use fluvio_controlplane_metadata::smartmodule::{SmartModulePackageKey, SmartModuleSpec};
use fluvio_controlplane_metadata::spg::SpuGroupSpec;
use fluvio_controlplane_metadata::spu::{CustomSpuSpec, SpuSpec};
use fluvio_controlplane_metadata::tableformat::TableFormatSpec;
use fluvio_controlplane_metadata::topic::{TopicSpec, UpdateTopicAction};
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{
    CreateRequest, DeleteRequest, ListFilter, ListRequest, ListResponse, Metadata, ObjectApiCreateRequest,
    ObjectApiDeleteRequest, ObjectApiListRequest, ObjectApiListResponse, ObjectApiUpdateRequest, UpdateRequest,
};
use fluvio_sc_schema::{AdminSpec, Status, TryEncodableFrom};

use super::{downcast, objects};
use crate::catalog::{Catalog, Refusal};
use crate::state::Shared;

/// Makes a topic or stores a SmartModule.
pub(super) async fn create(shared: &Arc<Shared>, request: ObjectApiCreateRequest) -> io::Result<Status> {
    if let Some(request) = downcast::<_, CreateRequest<TopicSpec>>(&request)? {
        let (common, spec) = request.parts();
        let name = common.name.clone();
        let made = change(shared, move |catalog| {
            if common.dry_run {
                catalog.check_topic(&common.name, &spec)
            } else {
                catalog.create_topic(&common.name, spec)
            }
        });
        return Ok(status(name, made.await));
    }
    if let Some(request) = downcast::<_, CreateRequest<SmartModuleSpec>>(&request)? {
        let (common, spec) = request.parts();
        let name = common.name.clone();
        let made = change(shared, move |catalog| catalog.create_module(&common.name, spec, common.dry_run)).await;
        return Ok(match made {
            Ok(id) => Status::new_ok(id),
            Err(refusal) => status(name, Err(refusal)),
        });
    }
    let kind = if downcast::<_, CreateRequest<TableFormatSpec>>(&request)?.is_some() {
        "table formats"
    } else if downcast::<_, CreateRequest<CustomSpuSpec>>(&request)?.is_some() {
        "further SPUs"
    } else if downcast::<_, CreateRequest<SpuGroupSpec>>(&request)?.is_some() {
        "groups of SPUs"
    } else if downcast::<_, CreateRequest<MirrorSpec>>(&request)?.is_some() {
        "mirrors"
    } else {
        "objects of this kind"
    };
    Ok(refused("create", kind))
}

/// Deletes a topic or a SmartModule.
pub(super) async fn delete(shared: &Arc<Shared>, request: ObjectApiDeleteRequest) -> io::Result<Status> {
    if let Some(request) = downcast::<_, DeleteRequest<TopicSpec>>(&request)? {
        let force = request.is_force();
        let name = request.key();
        let key = name.clone();
        return Ok(status(name, change(shared, move |catalog| catalog.delete_topic(&key, force)).await));
    }
    if let Some(request) = downcast::<_, DeleteRequest<SmartModuleSpec>>(&request)? {
        let name = request.key();
        let key = name.clone();
        return Ok(status(name, change(shared, move |catalog| catalog.delete_module(&key)).await));
    }
    Ok(refused("delete", "objects of this kind"))
}

/// Gives a topic more partitions.
pub(super) async fn update(shared: &Arc<Shared>, request: ObjectApiUpdateRequest) -> io::Result<Status> {
    let Some(request) = downcast::<_, UpdateRequest<TopicSpec>>(&request)? else {
        return Ok(refused("update", "objects of this kind"));
    };
    let UpdateTopicAction::AddPartition(add) = request.action.clone() else {
        return Ok(refused("update", "mirrors"));
    };
    let name = request.key();
    let key = name.clone();
    Ok(status(name, change(shared, move |catalog| catalog.add_partitions(&key, add.count)).await))
}

/// Lists objects of one kind.
pub(super) fn list(
    shared: &Shared,
    host: IpAddr,
    request: &ObjectApiListRequest,
    version: i16,
) -> io::Result<ObjectApiListResponse> {
    let catalog = &shared.catalog;
    if let Some(request) = downcast::<_, ListRequest<TopicSpec>>(request)? {
        let (system, filters) = (request.system, Vec::from(request.name_filters));
        let mut found = objects::topics(catalog);
        found.retain(|topic| topic.spec.is_system() == system && named(&filters, &topic.name));
        return encode(found, version);
    }
    if let Some(request) = downcast::<_, ListRequest<PartitionSpec>>(request)? {
        let mut found = objects::partitions(catalog);
        found.retain(|partition| partition.spec.system == request.system);
        return encode(found, version);
    }
    if let Some(request) = downcast::<_, ListRequest<SpuSpec>>(request)? {
        let filters = Vec::from(request.name_filters);
        let mut found = objects::spus(host, shared.spu_port);
        found.retain(|spu| named(&filters, &spu.name));
        return encode(found, version);
    }
    if let Some(request) = downcast::<_, ListRequest<SmartModuleSpec>>(request)? {
        return encode(modules(catalog, request)?, version);
    }
    if downcast::<_, ListRequest<TableFormatSpec>>(request)?.is_some() {
        return encode::<TableFormatSpec>(Vec::new(), version);
    }
    if downcast::<_, ListRequest<CustomSpuSpec>>(request)?.is_some() {
        return encode::<CustomSpuSpec>(Vec::new(), version);
    }
    if downcast::<_, ListRequest<SpuGroupSpec>>(request)?.is_some() {
        return encode::<SpuGroupSpec>(Vec::new(), version);
    }
    if downcast::<_, ListRequest<MirrorSpec>>(request)?.is_some() {
        return encode::<MirrorSpec>(Vec::new(), version);
    }
    // The protocol has no place for an error here; a cluster closes the connection too.
    Err(io::Error::new(io::ErrorKind::Unsupported, "a request to list objects of an unknown kind"))
}

fn modules(catalog: &Catalog, request: ListRequest<SmartModuleSpec>) -> io::Result<Vec<Metadata<SmartModuleSpec>>> {
    let keys = Vec::from(request.name_filters)
        .into_iter()
        .map(|filter: ListFilter| SmartModulePackageKey::from_qualified_name(&filter.name))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut found = objects::modules(catalog);
    found.retain(|module| {
        let package = module.spec.meta.as_ref().map(|meta| &meta.package);
        keys.is_empty() || keys.iter().any(|key| key.is_match(&module.name, package))
    });
    Ok(if request.summary { found.into_iter().map(Metadata::summary).collect() } else { found })
}

/// Makes a change, and returns when the clients that watch have been sent it: the client that asked for it then finds it
/// done in its own copy.
async fn change<T: Send + 'static>(
    shared: &Arc<Shared>,
    make: impl FnOnce(&Catalog) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let catalog = shared.catalog.clone();
    let failed = || Err(Refusal::new(ErrorCode::UnknownServerError, "the change failed; the node's log says why"));
    let made = shared.blocking(move || make(&catalog)).await.unwrap_or_else(failed);
    if made.is_ok() {
        shared.watchers.wait_for(shared.catalog.version()).await;
    }
    made
}

fn status(name: String, made: Result<(), Refusal>) -> Status {
    match made {
        Ok(()) => Status::new_ok(name),
        Err(Refusal { code, message }) => Status::new(name, code, Some(message)),
    }
}

fn refused(verb: &str, kind: &str) -> Status {
    let message = format!("isotherm-node has no {kind}; use a Fluvio cluster");
    Status::new(format!("{verb} error"), ErrorCode::Other(message.clone()), Some(message))
}

fn named(filters: &[ListFilter], name: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(&filter.name))
}

fn encode<S>(found: Vec<Metadata<S>>, version: i16) -> io::Result<ObjectApiListResponse>
where
    S: AdminSpec,
    S::Status: Encoder + Decoder + std::fmt::Debug,
{
    ObjectApiListResponse::try_encode_from(ListResponse::new(found), version)
        .map_err(|error| io::Error::other(error.to_string()))
}
