//! Topics through an administrator, and what clients that are connected see of changes.

use std::time::Instant;

use fluvio::metadata::customspu::CustomSpuSpec;
use fluvio::metadata::partition::PartitionSpec;
use fluvio::metadata::spg::SpuGroupSpec;
use fluvio::metadata::tableformat::TableFormatSpec;
use fluvio::metadata::topic::{
    AddPartition, Bounds, Deduplication, Filter, MirrorConfig, PartitionMap, ReplicaSpec, TopicSpec, Transform,
    UpdateTopicAction,
};
use fluvio::{Compression, Fluvio, Offset};
use futures_util::StreamExt;

use crate::support::{
    Running, TIMEOUT, admin, consume, create_topic, error_of, from, produce, started, values, with_topic, within,
};

async fn names(client: &Fluvio) -> Vec<String> {
    let found = within(admin(client).await.all::<TopicSpec>()).await.unwrap();
    found.into_iter().map(|topic| topic.name).collect()
}

/// Why a topic is not made.
pub(crate) async fn refusal(client: &Fluvio, name: &str, spec: TopicSpec) -> String {
    within(admin(client).await.create(name.to_owned(), false, spec)).await.expect_err("refused").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_node_answers_at_once() {
    let (_folder, node, client) = started().await;
    let began = Instant::now();
    let error = error_of(&client, &from("nothing", 0, Offset::beginning())).await;
    assert!(error.contains("not found"), "{error}");
    let error = within(client.topic_producer("nothing")).await.err().expect("no producer").to_string();
    assert!(error.contains("not found"), "{error}");
    assert!(began.elapsed() < TIMEOUT / 2, "the client waited for metadata");
    assert_eq!(names(&client).await, Vec::<String>::new());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_usable_when_its_creation_returns() {
    let (_folder, node, client) = with_topic("first", 1).await;
    produce(&client, "first", &[values(0..1)], Compression::None).await;
    // The client has its metadata now and is told of changes; it must have been told in time.
    for number in 0..20 {
        let name = format!("next-{number}");
        create_topic(&client, &name, 2).await;
        produce(&client, &name, &[values(0..1)], Compression::None).await;
        within(admin(&client).await.delete::<TopicSpec>(&name)).await.unwrap();
        let error = within(client.topic_producer(name)).await.err().expect("no producer").to_string();
        assert!(error.contains("not found"), "{error}");
    }
    assert_eq!(names(&client).await, ["first"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_does_not_do_is_refused() {
    let (_folder, node, client) = with_topic("taken", 1).await;
    let plain = || TopicSpec::new_computed(1, 1, None);
    let mut deduplicated = plain();
    deduplicated.set_deduplication(Some(Deduplication {
        bounds: Bounds { count: 1, age: None },
        filter: Filter { transform: Transform { uses: "filter".into(), with: Default::default() } },
    }));
    let mut system = plain();
    system.set_system(true);
    let elsewhere = vec![PartitionMap { id: 0, replicas: vec![1], mirror: None }];
    let cases = [
        ("taken", plain(), "already exists"),
        ("consumer-offset", plain(), "already exists"),
        ("Bad Name", plain(), "Invalid topic name"),
        ("../up", plain(), "Invalid topic name"),
        ("two", TopicSpec::new_computed(1, 2, None), "does not replicate"),
        ("none", TopicSpec::new_computed(0, 1, None), "0 partitions"),
        ("many", TopicSpec::new_computed(u32::MAX, 1, None), "partitions are not possible"),
        ("dedup", deduplicated, "deduplication"),
        ("system", system, "system"),
        ("placed", TopicSpec::from(ReplicaSpec::new_assigned(elsewhere)), "one SPU"),
        ("mirror", TopicSpec::new_mirror(MirrorConfig::default()), "mirror"),
    ];
    for (name, spec, wanted) in cases {
        let error = refusal(&client, name, spec).await;
        assert!(error.contains(wanted), "{name}: {error}");
    }
    let error = within(admin(&client).await.delete::<TopicSpec>("absent")).await.unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
    within(admin(&client).await.delete::<TopicSpec>("consumer-offset")).await.unwrap_err();
    within(admin(&client).await.force_delete::<TopicSpec>("consumer-offset")).await.unwrap_err();
    assert_eq!(names(&client).await, ["taken"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_never_has_is_listed_as_none() {
    let (_folder, node, client) = started().await;
    let admin = admin(&client).await;
    assert_eq!(within(admin.all::<CustomSpuSpec>()).await.unwrap().len(), 0);
    assert_eq!(within(admin.all::<SpuGroupSpec>()).await.unwrap().len(), 0);
    assert_eq!(within(admin.all::<TableFormatSpec>()).await.unwrap().len(), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let (_folder, node, client) = started().await;
    within(admin(&client).await.create("dry".to_owned(), true, TopicSpec::new_computed(1, 1, None))).await.unwrap();
    assert_eq!(names(&client).await, Vec::<String>::new());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_of_a_deleted_topic_is_told() {
    let (_folder, node, client) = with_topic("doomed", 1).await;
    produce(&client, "doomed", &[values(0..3)], Compression::None).await;
    let config = from("doomed", 0, Offset::absolute(2).unwrap()).build().unwrap();
    let mut stream = within(client.consumer_with_config(config)).await.unwrap();
    within(stream.next()).await.unwrap().unwrap();
    within(admin(&client).await.delete::<TopicSpec>("doomed")).await.unwrap();
    let error = within(stream.next()).await.expect("told").err();
    assert_eq!(error, Some(fluvio::dataplane::link::ErrorCode::TopicDeleted));
    // The same name again is another topic.
    create_topic(&client, "doomed", 1).await;
    produce(&client, "doomed", &[values(7..8)], Compression::None).await;
    let seen = consume(&client, &from("doomed", 0, Offset::beginning()), 1).await;
    assert_eq!(seen, [(0, None, "value-7".to_owned())]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_can_be_added() {
    let (folder, node, client) = with_topic("grows", 1).await;
    produce(&client, "grows", &[values(0..1)], Compression::None).await;
    let action = UpdateTopicAction::AddPartition(AddPartition { count: 2 });
    within(admin(&client).await.update::<TopicSpec>("grows".to_owned(), action)).await.unwrap();
    let all = within(admin(&client).await.all::<PartitionSpec>()).await.unwrap();
    let names: Vec<_> = all.into_iter().map(|partition| partition.name).collect();
    assert_eq!(names, ["grows-0", "grows-1", "grows-2"]);
    node.stop().await;
    // They are there after a start, and take records.
    let node = Running::start(folder.path()).await;
    let client = node.client().await;
    let batches: Vec<_> = (0..3).map(|at| values(at..at + 1)).collect();
    produce(&client, "grows", &batches, Compression::None).await;
    for partition in 0..3 {
        assert!(!consume(&client, &from("grows", partition, Offset::beginning()), 1).await.is_empty());
    }
    node.stop().await;
}
