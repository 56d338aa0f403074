CREATE TABLE alerts (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	happening VARCHAR(20) NOT NULL, 
	subject VARCHAR(200) NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	at FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	repeats INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	target TEXT NOT NULL, 
	place JSON NOT NULL, 
	document JSON NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at FLOAT NOT NULL, 
	sent_at FLOAT, 
	error TEXT, 
	PRIMARY KEY (id)
);
CREATE TABLE candidates (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	candidate VARCHAR(100) NOT NULL, 
	metric VARCHAR(40) NOT NULL, 
	score FLOAT, 
	spread FLOAT, 
	folds JSON, 
	seconds FLOAT, 
	chosen BOOLEAN NOT NULL, 
	baseline BOOLEAN NOT NULL, 
	error TEXT, 
	parameters JSON, 
	PRIMARY KEY (id)
);
CREATE TABLE checks (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	"table" VARCHAR(100) NOT NULL, 
	expectation TEXT NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	action VARCHAR(20) NOT NULL, 
	rows BIGINT, 
	broken BIGINT, 
	passed BOOLEAN NOT NULL, 
	message TEXT, 
	PRIMARY KEY (id)
);
CREATE TABLE claims (
	name VARCHAR(200) NOT NULL, 
	holder VARCHAR(300) NOT NULL, 
	beat INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE counters (
	name VARCHAR(40) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('runs',0);
INSERT INTO "counters" VALUES('landed',0);
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	version INTEGER NOT NULL, 
	decision VARCHAR(20) NOT NULL, 
	gates JSON NOT NULL, 
	who VARCHAR(100) NOT NULL, 
	at FLOAT NOT NULL, 
	replaced INTEGER, 
	reason TEXT, 
	run_id VARCHAR(40), 
	PRIMARY KEY (id)
);
CREATE TABLE declarations (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	at FLOAT NOT NULL, 
	document JSON NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE deletions (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	"table" VARCHAR(100), 
	kind VARCHAR(20) NOT NULL, 
	why TEXT NOT NULL, 
	who VARCHAR(100) NOT NULL, 
	at FLOAT NOT NULL, 
	files BIGINT NOT NULL, 
	bytes BIGINT NOT NULL, 
	document JSON NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE erasures (
	erasure VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	"column" VARCHAR(100) NOT NULL, 
	salt VARCHAR(64) NOT NULL, 
	subject VARCHAR(64) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	who VARCHAR(100) NOT NULL, 
	started_at FLOAT NOT NULL, 
	finished_at FLOAT, 
	"before" JSON NOT NULL, 
	proof_sha256 VARCHAR(64), 
	PRIMARY KEY (erasure)
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	"trigger" VARCHAR(200) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	subject TEXT NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	at FLOAT NOT NULL, 
	pipeline VARCHAR(20) NOT NULL, 
	alone BOOLEAN NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	taken_by VARCHAR(300), 
	run_id VARCHAR(40), 
	attempts INTEGER NOT NULL, 
	not_before FLOAT NOT NULL, 
	detail JSON, 
	PRIMARY KEY (id), 
	CONSTRAINT happened_once UNIQUE (product, "key")
);
CREATE TABLE landed (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	source VARCHAR(100) NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	bytes BIGINT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	landed_at FLOAT NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	etag TEXT, seq BIGINT DEFAULT '0' NOT NULL, base TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT landed_once UNIQUE (product, source, path, sha256)
);
CREATE TABLE ledger_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ledger_version" VALUES('0010');
CREATE TABLE lineage_events (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	at FLOAT NOT NULL, 
	event JSON NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	sent_at FLOAT, 
	error TEXT, 
	PRIMARY KEY (id)
);
CREATE TABLE lineages (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	"table" VARCHAR(100) NOT NULL, 
	version INTEGER, 
	document JSON NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE manifests (
	product VARCHAR(100) NOT NULL, 
	folder TEXT NOT NULL, 
	document JSON NOT NULL, 
	PRIMARY KEY (product, folder)
);
CREATE TABLE measurements (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	at FLOAT NOT NULL, 
	subject_kind VARCHAR(20) NOT NULL, 
	subject VARCHAR(200) NOT NULL, 
	metric VARCHAR(100) NOT NULL, 
	value FLOAT NOT NULL, 
	low FLOAT, 
	high FLOAT, 
	count BIGINT, 
	window_start FLOAT, 
	window_end FLOAT, 
	group_by TEXT, 
	group_value TEXT, 
	version INTEGER, 
	detail JSON, 
	PRIMARY KEY (id)
);
CREATE TABLE model_versions (
	product VARCHAR(100) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	version INTEGER NOT NULL, 
	candidate VARCHAR(100) NOT NULL, 
	created_at FLOAT NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	training_table VARCHAR(100) NOT NULL, 
	training_version INTEGER NOT NULL, 
	training_rows BIGINT NOT NULL, 
	training_from VARCHAR(40), 
	training_until VARCHAR(40), 
	parameters JSON NOT NULL, 
	metrics JSON NOT NULL, 
	signature JSON NOT NULL, 
	environment JSON NOT NULL, 
	artifact TEXT NOT NULL, 
	artifact_sha256 VARCHAR(64) NOT NULL, 
	format VARCHAR(20) NOT NULL, 
	mlflow_run VARCHAR(64), 
	gates JSON, 
	rule TEXT, holdout JSON, cause JSON, 
	PRIMARY KEY (product, model, version)
);
CREATE TABLE profiles (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	"table" VARCHAR(100) NOT NULL, 
	version INTEGER, 
	rows BIGINT NOT NULL, 
	columns JSON NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE runs (
	run_id VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	command VARCHAR(40) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	started_at FLOAT NOT NULL, 
	finished_at FLOAT, 
	who VARCHAR(100), 
	host VARCHAR(200), 
	pid INTEGER, 
	code VARCHAR(64), 
	caudal_version VARCHAR(40), 
	error JSON, 
	summary JSON, at_hand JSON, seq BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (run_id)
);
CREATE TABLE schedules (
	product VARCHAR(100) NOT NULL, 
	"trigger" VARCHAR(200) NOT NULL, 
	until FLOAT NOT NULL, 
	next_at FLOAT, 
	PRIMARY KEY (product, "trigger")
);
CREATE TABLE steps (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	step VARCHAR(200) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	seconds FLOAT, 
	fingerprint VARCHAR(64), 
	inputs JSON, 
	output_version INTEGER, 
	rows_read BIGINT, 
	rows_written BIGINT, 
	rows_quarantined BIGINT, 
	partitions JSON, 
	detail JSON, 
	error JSON, 
	PRIMARY KEY (id)
);
CREATE TABLE tombstones (
	id INTEGER NOT NULL, 
	product VARCHAR(100) NOT NULL, 
	source VARCHAR(100) NOT NULL, 
	old_sha256 VARCHAR(64) NOT NULL, 
	new_sha256 VARCHAR(64) NOT NULL, 
	rows BIGINT NOT NULL, 
	erasure VARCHAR(40) NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX alerts_by_state ON alerts (state, next_at);
CREATE INDEX alerts_by_subject ON alerts (product, happening, subject, id);
CREATE INDEX checks_by_run ON checks (run_id, "table");
CREATE INDEX decisions_by_model ON decisions (product, model, id);
CREATE INDEX profiles_by_table ON profiles (product, "table", id);
CREATE INDEX steps_by_name ON steps (product, step, id);
CREATE INDEX steps_by_run ON steps (run_id);
CREATE INDEX events_by_state ON events (state, product, id);
CREATE INDEX declarations_by_product ON declarations (product, id);
CREATE INDEX deletions_by_table ON deletions (product, "table", id);
CREATE INDEX lineage_events_by_run ON lineage_events (run_id);
CREATE INDEX lineage_events_by_state ON lineage_events (state, id);
CREATE INDEX lineages_by_table ON lineages (product, "table", id);
CREATE INDEX tombstones_by_hash ON tombstones (product, source, old_sha256);
CREATE INDEX measurements_by_metric ON measurements (product, metric, id);
CREATE INDEX measurements_by_run ON measurements (run_id);
CREATE INDEX measurements_by_subject ON measurements (product, subject, metric, id);
