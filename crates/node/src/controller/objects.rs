//! What the node knows, in the protocol's shapes.

use std::net::IpAddr;

use fluvio_controlplane_metadata::partition::{PartitionResolution, PartitionSpec, PartitionStatus, ReplicaStatus};
use fluvio_controlplane_metadata::smartmodule::{SmartModuleSpec, SmartModuleStatus};
use fluvio_controlplane_metadata::spu::{Endpoint, IngressPort, SpuSpec, SpuStatus};
use fluvio_controlplane_metadata::topic::{TopicResolution, TopicSpec, TopicStatus};
use fluvio_protocol::record::ReplicaKey;
use fluvio_sc_schema::objects::Metadata;

use crate::catalog::{Catalog, SPU_ID};

/// The one SPU, as a client finds it that reached the node at `host`.
pub(super) fn spus(host: IpAddr, port: u16) -> Vec<Metadata<SpuSpec>> {
    let mut spec = SpuSpec::new(SPU_ID).set_custom();
    spec.public_endpoint = IngressPort::from_port_host(port, host.to_string());
    spec.private_endpoint = Endpoint::from_port_host(port, host.to_string());
    let mut status = SpuStatus::default();
    status.set_online();
    vec![Metadata { name: format!("custom-spu-{SPU_ID}"), spec, status }]
}

/// All topics, the system's included.
pub(super) fn topics(catalog: &Catalog) -> Vec<Metadata<TopicSpec>> {
    let one = |(name, topic): (String, crate::catalog::Topic)| {
        let map = vec![vec![SPU_ID]; topic.spec.partitions() as usize];
        let status = TopicStatus::new(TopicResolution::Provisioned, map, "");
        Metadata { name, spec: topic.spec, status }
    };
    catalog.topics().into_iter().map(one).collect()
}

/// All partitions of all topics, with their ends and sizes as they are now.
pub(super) fn partitions(catalog: &Catalog) -> Vec<Metadata<PartitionSpec>> {
    let of_topic = |(name, topic): (String, crate::catalog::Topic)| {
        (0..topic.spec.partitions()).map(move |number| {
            let spec = PartitionSpec::from_replicas(vec![SPU_ID], &topic.spec, None);
            let tip = topic.logs.get(number as usize).map(|log| log.tip());
            let end = tip.map_or(0, |tip| tip.end);
            let size = tip.map_or(0, |tip| i64::try_from(tip.bytes).unwrap_or(i64::MAX));
            let leader = ReplicaStatus::new(SPU_ID, end, end);
            let status = PartitionStatus::new2(leader, Vec::new(), size, PartitionResolution::Online, 0);
            Metadata { name: ReplicaKey::new(name.as_str(), number).to_string(), spec, status }
        })
    };
    catalog.topics().into_iter().flat_map(of_topic).collect()
}

/// All SmartModules, with their bytes.
pub(super) fn modules(catalog: &Catalog) -> Vec<Metadata<SmartModuleSpec>> {
    let one = |(name, spec)| Metadata { name, spec, status: SmartModuleStatus };
    catalog.modules().into_iter().map(one).collect()
}
