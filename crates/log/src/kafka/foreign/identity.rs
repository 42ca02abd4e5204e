//! A topic's id (KIP-516), which tells a topic from one of the same name that was deleted before: the client library knows
//! it, its Rust binding does not offer it yet.
#![expect(
    unsafe_code,
    reason = "rd_kafka_DescribeTopics has no safe binding; each block says why it is sound"
)]

use std::{
    ffi::{CStr, CString},
    ptr::{self, NonNull},
    slice,
    time::Duration,
};

use rdkafka::{
    ClientContext,
    bindings::{
        rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
        rd_kafka_AdminOptions_t, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
        rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names,
        rd_kafka_TopicCollection_t, rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_name,
        rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_least_significant_bits,
        rd_kafka_Uuid_most_significant_bits, rd_kafka_admin_op_t, rd_kafka_error_code,
        rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_t,
        rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t,
    },
    client::Client,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

/// A topic's name, and its id or why there is none now.
pub(super) type Described = (String, Result<[u8; 16], RDKafkaErrorCode>);

/// Asks for the ids of topics. One question for all of them, of about a millisecond.
pub(super) fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> KafkaResult<Vec<Described>> {
    let timed_out = || KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut);
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut names = Vec::with_capacity(topics.len());
    for topic in topics {
        names.push(CString::new(*topic).map_err(KafkaError::Nul)?);
    }
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: `pointers` holds as many pointers as it says, each to a string that ends with NUL and lives until after the
    // call; the library copies the strings.
    let collection =
        unsafe { rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
    let collection = Owned::new(collection, rd_kafka_TopicCollection_destroy).ok_or_else(timed_out)?;
    // SAFETY: the client lives as long as `client` is borrowed.
    let options = unsafe {
        rd_kafka_AdminOptions_new(client.native_ptr(), rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS)
    };
    let options: Owned<rd_kafka_AdminOptions_t> =
        Owned::new(options, rd_kafka_AdminOptions_destroy).ok_or_else(timed_out)?;
    // SAFETY: `options` is alive, and without room for words about an error none are written.
    let set =
        unsafe { rd_kafka_AdminOptions_set_request_timeout(options.ptr(), timeout_ms, ptr::null_mut(), 0) };
    if set != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::AdminOp(set.into()));
    }
    // SAFETY: the client lives as long as `client` is borrowed.
    let queue: *mut rd_kafka_queue_t = unsafe { rd_kafka_queue_new(client.native_ptr()) };
    let queue = Owned::new(queue, rd_kafka_queue_destroy).ok_or_else(timed_out)?;
    // SAFETY: all four are alive. The library copies topics and options, and holds the queue for its answer by a count of
    // its own.
    unsafe { rd_kafka_DescribeTopics(client.native_ptr(), collection.ptr(), options.ptr(), queue.ptr()) };
    // SAFETY: the queue is alive, and nobody else polls it. It gives null, or an event that is ours to destroy.
    let event = unsafe { rd_kafka_queue_poll(queue.ptr(), timeout_ms.saturating_add(100)) };
    let event: Owned<rd_kafka_event_t> = Owned::new(event, rd_kafka_event_destroy).ok_or_else(timed_out)?;
    read(&event)
}

fn read(event: &Owned<rd_kafka_event_t>) -> KafkaResult<Vec<Described>> {
    // SAFETY: the event is alive.
    let error = unsafe { rd_kafka_event_error(event.ptr()) };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::AdminOp(error.into()));
    }
    let mut count = 0;
    // SAFETY: the event is alive; the library gives null for an event of another kind, which is not read on.
    let described = unsafe {
        let result = rd_kafka_event_DescribeTopics_result(event.ptr());
        if result.is_null() {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::BadMessage));
        }
        rd_kafka_DescribeTopics_result_topics(result, &raw mut count)
    };
    if described.is_null() || count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the library says that `count` pointers are there; they belong to the event, which outlives the slice.
    let described = unsafe { slice::from_raw_parts(described, count) };
    let mut found = Vec::with_capacity(count);
    for &topic in described {
        // SAFETY: a description belongs to the event and is never null, nor is its name; error and id may be null.
        let (name, error, id) = unsafe {
            (
                CStr::from_ptr(rd_kafka_TopicDescription_name(topic)),
                rd_kafka_TopicDescription_error(topic),
                rd_kafka_TopicDescription_topic_id(topic),
            )
        };
        let mut answer = Ok([0; 16]);
        if !error.is_null() {
            // SAFETY: it belongs to the event. The library gives an error object, with code 0, for success as well.
            let code = unsafe { rd_kafka_error_code(error) };
            if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                answer = Err(code.into());
            }
        }
        if !id.is_null() && answer.is_ok() {
            // SAFETY: it belongs to the event, and both only read it.
            let (high, low) = unsafe {
                (rd_kafka_Uuid_most_significant_bits(id), rd_kafka_Uuid_least_significant_bits(id))
            };
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&high.to_be_bytes());
            bytes[8..].copy_from_slice(&low.to_be_bytes());
            answer = Ok(bytes);
        }
        found.push((name.to_string_lossy().into_owned(), answer));
    }
    Ok(found)
}

/// Something of the library's that must be destroyed once.
struct Owned<T> {
    ptr: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes over what a constructor has given; `None` for null.
    fn new(ptr: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        Some(Self { ptr: NonNull::new(ptr)?, destroy })
    }

    fn ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: every caller of `new` pairs a constructor with its destructor and gives ownership away.
        unsafe { (self.destroy)(self.ptr.as_ptr()) }
    }
}

/// Keeps the name of the type that the collection is in the library.
const _: fn(&Owned<rd_kafka_TopicCollection_t>) -> *mut rd_kafka_TopicCollection_t = Owned::ptr;
