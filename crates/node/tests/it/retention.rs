//! What goes by size, and what clients see of it.

use std::time::Duration;

use fluvio::metadata::topic::{TopicSpec, TopicStorageConfig};
use fluvio::{Compression, Offset};
use isotherm_node::Config;
use tempfile::TempDir;

use crate::hostile::bounds;
use crate::support::{
    ONE_PER_BATCH, Running, TIMEOUT, admin, consume, create_module, error_of, from, predefined, produce, seen, values,
    within,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_records_go_and_readers_are_told() {
    let folder = TempDir::new().unwrap();
    let mut config = Config::new(folder.path()).on_free_ports();
    config.retention_check = Duration::from_millis(10);
    let node = Running::start_with(config.clone()).await;
    let client = node.client().await;
    let mut spec = TopicSpec::new_computed(1, 1, None);
    spec.set_storage(TopicStorageConfig { segment_size: Some(1024), max_partition_size: Some(4096) });
    within(admin(&client).await.create("cut".to_owned(), false, spec)).await.unwrap();
    create_module(&client, "one", ONE_PER_BATCH).await;
    let batches: Vec<_> = (0..100).map(|at| values(at * 10..at * 10 + 10)).collect();
    produce(&client, "cut", &batches, Compression::None).await;
    // In the end at most as much is left as may be kept: four segments, of at most four batches each.
    let wait = async {
        loop {
            let (start, end) = bounds(&node, "cut").await;
            if start >= 840 {
                return (start, end);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (start, end) = tokio::time::timeout(TIMEOUT, wait).await.expect("retention removes what is too much");
    assert!(start < end && start % 10 == 0 && end == 1_000, "{start} to {end}");
    let kept = seen(start as usize..end as usize);
    assert_eq!(consume(&client, &from("cut", 0, Offset::beginning()), kept.len()).await, kept);
    let mut below = from("cut", 0, Offset::absolute(start - 1).unwrap());
    let said = error_of(&client, &below).await;
    assert!(said.contains("evicted") && said.contains(&start.to_string()), "{said}");
    below.smartmodule(vec![predefined("one")]);
    let said = error_of(&client, &below).await;
    assert!(said.contains("evicted"), "{said}");
    node.stop().await;
    let node = Running::start_with(config).await;
    assert_eq!(bounds(&node, "cut").await, (start, end));
    assert_eq!(consume(&node.client().await, &from("cut", 0, Offset::beginning()), kept.len()).await, kept);
    node.stop().await;
}
