//! Integration tests of the aggregation: against a naive reference, across layouts, through snapshots, and its codecs.

mod cases;
mod deliveries;
mod evaluation;
mod formats;
mod full_reference;
mod ids;
mod previews;
mod reference;
mod same_output;
mod sketches;
mod steps;
