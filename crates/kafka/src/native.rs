//! What the safe bindings lack: topics with their ids, and many records at once.

#![expect(unsafe_code, reason = "librdkafka has no safe interface for these two")]

use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::client::{Client as NativeClient, ClientContext};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::TIMEOUT;
use crate::client::{Client, of_code};
use crate::error::KafkaError;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// By which it is known again: one that is deleted and made again has another.
    pub id: String,
    /// How many partitions it has.
    pub partitions: u32,
}

/// Frees what librdkafka gave, in its way.
struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Result<Self, KafkaError> {
        let none = || KafkaError::Fatal("librdkafka gave nothing".to_owned());
        NonNull::new(pointer).map(|pointer| Self(pointer, free)).ok_or_else(none)
    }

    fn ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, is owned here alone, and is freed once.
        unsafe { (self.1)(self.0.as_ptr()) }
    }
}

/// An answer to a question of an administrator, which `ask` asks of the queue with the options.
///
/// # Safety
/// What `ask` passes on must live until it returns.
unsafe fn answer(
    client: *mut c::rd_kafka_t,
    operation: c::rd_kafka_admin_op_t,
    ask: impl FnOnce(*const c::rd_kafka_AdminOptions_t, *mut c::rd_kafka_queue_t),
) -> Result<Owned<c::rd_kafka_event_t>, KafkaError> {
    let milliseconds = i32::try_from(TIMEOUT.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: queue and options live until the answer has come, and are freed by their owners.
    unsafe {
        let queue = Owned::new(c::rd_kafka_queue_new(client), c::rd_kafka_queue_destroy)?;
        let options = c::rd_kafka_AdminOptions_new(client, operation);
        let options = Owned::new(options, c::rd_kafka_AdminOptions_destroy)?;
        c::rd_kafka_AdminOptions_set_request_timeout(options.ptr(), milliseconds, ptr::null_mut(), 0);
        ask(options.ptr(), queue.ptr());
        // The request has its own time limit; this one is for an answer that never comes.
        let event = c::rd_kafka_queue_poll(queue.ptr(), milliseconds.saturating_add(1_000));
        let Ok(event) = Owned::new(event, c::rd_kafka_event_destroy) else {
            return Err(KafkaError::Retry(format!("no broker answered within {} s", TIMEOUT.as_secs())));
        };
        match RDKafkaErrorCode::from(c::rd_kafka_event_error(event.ptr())) {
            RDKafkaErrorCode::NoError => Ok(event),
            code => Err(of_code(code)),
        }
    }
}

fn fatal(what: &str) -> KafkaError {
    KafkaError::Fatal(what.to_owned())
}

fn name_of(topic: &str) -> Result<CString, KafkaError> {
    CString::new(topic).map_err(|_| fatal("a topic's name holds no zero byte"))
}

/// Asks what there is of a topic.
pub(crate) fn describe<C: ClientContext>(client: &NativeClient<C>, topic: &str) -> Result<Option<Topic>, KafkaError> {
    let name = name_of(topic)?;
    let mut names = [name.as_ptr()];
    let client = client.native_ptr();
    // SAFETY: the names live until the answer has come, and librdkafka copies them. What it describes belongs to the event, which lives to
    // the end.
    unsafe {
        let topics = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let topics = Owned::new(topics, c::rd_kafka_TopicCollection_destroy)?;
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let event = answer(client, operation, |options, queue| {
            c::rd_kafka_DescribeTopics(client, topics.ptr(), options, queue);
        })?;
        let result = c::rd_kafka_event_DescribeTopics_result(event.ptr());
        if result.is_null() {
            return Err(fatal("librdkafka answered another question"));
        }
        let mut count = 0;
        let all = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count != 1 || all.is_null() || (*all).is_null() {
            return Err(fatal("a broker described no topic"));
        }
        let topic = *all;
        let error = c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(topic));
        match RDKafkaErrorCode::from(error) {
            RDKafkaErrorCode::NoError => {}
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => return Ok(None),
            code => return Err(of_code(code)),
        }
        let mut partitions = 0;
        c::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = c::rd_kafka_Uuid_base64str(c::rd_kafka_TopicDescription_topic_id(topic));
        if id.is_null() {
            return Err(fatal("a broker names no id of the topic; Kafka 2.8 or later is needed"));
        }
        let id = CStr::from_ptr(id).to_string_lossy().into_owned();
        Ok(Some(Topic { id, partitions: u32::try_from(partitions).unwrap_or(u32::MAX) }))
    }
}

/// Asks for a setting of a topic; `None` if the broker names none.
pub(crate) fn topic_setting<C: ClientContext>(
    client: &NativeClient<C>,
    topic: &str,
    setting: &str,
) -> Result<Option<String>, KafkaError> {
    let name = name_of(topic)?;
    let client = client.native_ptr();
    // SAFETY: as in `describe`.
    unsafe {
        let resource =
            c::rd_kafka_ConfigResource_new(c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr());
        let resource = Owned::new(resource, c::rd_kafka_ConfigResource_destroy)?;
        let mut resources = [resource.ptr()];
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
        let event = answer(client, operation, |options, queue| {
            c::rd_kafka_DescribeConfigs(client, resources.as_mut_ptr(), resources.len(), options, queue);
        })?;
        let result = c::rd_kafka_event_DescribeConfigs_result(event.ptr());
        if result.is_null() {
            return Err(fatal("librdkafka answered another question"));
        }
        let mut count = 0;
        let all = c::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        if count != 1 || all.is_null() || (*all).is_null() {
            return Err(fatal("a broker described no topic"));
        }
        match RDKafkaErrorCode::from(c::rd_kafka_ConfigResource_error(*all)) {
            RDKafkaErrorCode::NoError => {}
            code => return Err(of_code(code)),
        }
        let entries = c::rd_kafka_ConfigResource_configs(*all, &raw mut count);
        if entries.is_null() {
            return Ok(None);
        }
        for entry in slice::from_raw_parts(entries, count) {
            let (name, value) = (c::rd_kafka_ConfigEntry_name(*entry), c::rd_kafka_ConfigEntry_value(*entry));
            if !name.is_null() && CStr::from_ptr(name).to_bytes() == setting.as_bytes() && !value.is_null() {
                return Ok(Some(CStr::from_ptr(value).to_string_lossy().into_owned()));
            }
        }
        Ok(None)
    }
}

/// A record, or what came in its place, in librdkafka's memory.
pub struct Message {
    message: NonNull<c::rd_kafka_message_t>,
    /// It must not end before its messages.
    _client: Arc<Client>,
}

// SAFETY: nothing writes to a message once it was given, and librdkafka lets any thread free it.
unsafe impl Send for Message {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for Message {}

impl Message {
    fn get(&self) -> &c::rd_kafka_message_t {
        // SAFETY: the message is owned, and not freed before `self` is dropped.
        unsafe { self.message.as_ref() }
    }

    /// Its offset.
    pub fn offset(&self) -> i64 {
        self.get().offset
    }

    /// Its key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        let message = self.get();
        // SAFETY: librdkafka says that these bytes are there as long as the message.
        unsafe { bytes(message.key, message.key_len) }
    }

    /// Its value; `None` for a null one.
    pub fn value(&self) -> Option<&[u8]> {
        let message = self.get();
        // SAFETY: librdkafka says that these bytes are there as long as the message.
        unsafe { bytes(message.payload, message.len) }
    }

    /// Its log timestamp, in milliseconds: when it was made, or when it was appended, as the topic says.
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, and `kind` outlives the call.
        let timestamp = unsafe { c::rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        (kind != c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0).then_some(timestamp)
    }

    /// What came in place of a record.
    pub(crate) fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = RDKafkaErrorCode::from(self.get().err);
        (code != RDKafkaErrorCode::NoError).then_some(code)
    }

    /// How many bytes key and value take.
    pub fn byte_len(&self) -> usize {
        self.get().len.saturating_add(self.get().key_len)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: it is owned here alone, and freed once.
        unsafe { c::rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

/// # Safety
/// Unless it is null, `start` must lead to `length` bytes that stay as they are for `'a`.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by what the caller says.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// What has been fetched for this client, at most `most` records; waits for the first one for so long.
pub(crate) fn take(client: &Arc<Client>, most: usize, wait: Duration) -> Result<Vec<Message>, KafkaError> {
    let mut pointers: Vec<*mut c::rd_kafka_message_t> = vec![ptr::null_mut(); most];
    let milliseconds = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives as long as the call and, by the `Arc` in each message, as long as what it gives. The array has room for `most`
    // pointers; of those that are filled each is owned from here on.
    let taken = unsafe {
        let queue =
            Owned::new(c::rd_kafka_queue_get_consumer(client.client().native_ptr()), c::rd_kafka_queue_destroy)?;
        c::rd_kafka_consume_batch_queue(queue.ptr(), milliseconds, pointers.as_mut_ptr(), most)
    };
    let Ok(taken) = usize::try_from(taken) else {
        return Err(KafkaError::Retry("nothing can be taken of what was fetched".to_owned()));
    };
    let messages = pointers.into_iter().take(taken).filter_map(NonNull::new);
    Ok(messages.map(|message| Message { message, _client: client.clone() }).collect())
}
