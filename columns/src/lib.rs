//! The columns of the warehouse: from the JSON Schemas of events and entities to a tree of typed
//! fields, and from that tree to whatever names the columns elsewhere (DDL, a dictionary).
