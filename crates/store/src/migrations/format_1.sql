-- What a store is of. One row.
CREATE TABLE identity (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    cluster TEXT NOT NULL,
    settings TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    window_millis INTEGER NOT NULL,
    run BLOB NOT NULL,
    created TEXT NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- The topic at the last commit, and what all other rows add up to. One row.
CREATE TABLE head (
    id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    commits INTEGER NOT NULL,
    watermark INTEGER,
    closed_until INTEGER,
    newest INTEGER,
    oldest_open INTEGER,
    open_windows INTEGER NOT NULL,
    distinct_sensors INTEGER NOT NULL,
    first_window INTEGER,
    last_window INTEGER,
    dropped_windows INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    windows_sum INTEGER NOT NULL,
    partitions INTEGER NOT NULL,
    partitions_sum INTEGER NOT NULL,
    groups INTEGER NOT NULL,
    groups_sum INTEGER NOT NULL,
    ranges INTEGER NOT NULL,
    ranges_sum INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    gaps_sum INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    sensors_sum INTEGER NOT NULL,
    members INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    dead_sum INTEGER NOT NULL,
    dead_first INTEGER NOT NULL,
    dead_next INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    lost_sum INTEGER NOT NULL,
    lost_next INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Partitions, with the counts of their accounts.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    merged INTEGER NOT NULL,
    refill INTEGER NOT NULL,
    watermark INTEGER,
    last_first INTEGER,
    last_digest INTEGER,
    account INTEGER NOT NULL,
    read INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    late INTEGER NOT NULL,
    not_json INTEGER NOT NULL,
    missing_field INTEGER NOT NULL,
    wrong_type INTEGER NOT NULL,
    unknown_group INTEGER NOT NULL,
    bad_time INTEGER NOT NULL,
    out_of_range INTEGER NOT NULL,
    future INTEGER NOT NULL,
    replayed INTEGER NOT NULL,
    late_ranges INTEGER NOT NULL,
    late_unlisted INTEGER NOT NULL,
    rejected_ranges INTEGER NOT NULL,
    rejected_unlisted INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Where late (kind 0, by window) and rejected (kind 1, by reason) records stand.
CREATE TABLE ranges (
    partition INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    place INTEGER NOT NULL,
    "key" INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL,
    PRIMARY KEY (partition, kind, place)
) STRICT, WITHOUT ROWID;

-- Offsets that the run went on without.
CREATE TABLE gaps (
    partition INTEGER NOT NULL,
    place INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    "check" INTEGER NOT NULL,
    PRIMARY KEY (partition, place)
) STRICT, WITHOUT ROWID;

-- The run's statistics by group.
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    messages INTEGER NOT NULL,
    sum BLOB NOT NULL,
    least INTEGER NOT NULL,
    greatest INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Sensors, in chunks of 12 bytes for each and for each group that it reported from.
CREATE TABLE sensors (
    id INTEGER PRIMARY KEY,
    members BLOB NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Closed windows. Each names the one that closed before it.
CREATE TABLE windows (
    start INTEGER PRIMARY KEY,
    "end" INTEGER NOT NULL,
    closed_by INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    previous INTEGER,
    merged BLOB NOT NULL,
    "groups" BLOB NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- The outbox: batches of which some readings are to be copied to the dead letters.
CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    late BLOB NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Those that the log no longer held when they were to be copied.
CREATE TABLE dead_lost (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;
