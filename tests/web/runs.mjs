// SPDX-License-Identifier: Apache-2.0
// Makes the runs whose pages are looked at, and the pages over several runs where this drsim has them.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DRSIM, WEB } from './setting.mjs';

const RUNS = [
	{ name: 'gpu_loss', exit: 0 },
	{ name: 'seed_monitor', exit: 1 },
	{ name: 'training_run_54_days', exit: 0 },
	{ name: 'campaign', scenario: 'gpu_loss', options: ['--trials', '1000'], exit: 0 },
	{ name: 'network_partition', exit: 0 },
	{ name: 'finance_fraud', exit: 0 }, // says who took part, and what the drill is evidence for
	{ name: 'sham', scenario: 'gpu_loss', options: ['--sham'], exit: 0 },
];
const folder = join(WEB, 'runs');
// The history of these runs stays in build/.
const state = join(WEB, 'state');
const env = { ...process.env, XDG_STATE_HOME: state, DRSIM_HISTORY: join(state, 'history.db'), NO_COLOR: '1' };
const NIGHTS = 30; // drills for a trend; the last third recovers more slowly

function drsim(...words) {
	return spawnSync(DRSIM, words, { env, encoding: 'utf8', timeout: 120000 });
}

function has(command) {
	return drsim('help', command).status === 0;
}

// Returns the page as [{name, file}], empty when there is none; what went wrong is in the tally.
export function make_run(tally, { name, scenario = name, options = [], exit }) {
	const run = join(folder, name), file = join(run, 'report.html');

	rmSync(run, { recursive: true, force: true });
	const done = drsim('run', `scenarios/${scenario}.yaml`, '--out', run, '--quiet', ...options);

	tally.saw('run');
	if (done.status !== exit)
		tally.finding('run', name, `exit ${done.status ?? done.signal ?? done.error}, not ${exit}: ${done.stderr}`);
	if (existsSync(file))
		return [{ name, file }];
	tally.finding('run', name, 'there is no report.html');
	return [];
}

export function make_runs(tally, out) {
	rmSync(folder, { recursive: true, force: true });
	rmSync(state, { recursive: true, force: true });
	mkdirSync(state, { recursive: true });
	mkdirSync(join(folder, 'nights'), { recursive: true });
	return [
		...RUNS.flatMap((run) => make_run(tally, run)),
		...injected_page(tally),
		...evidence_page(tally, out),
		...trend_page(tally, out),
	];
}

// A page of one command: [{name, file}], empty when there is none.
function one_page(tally, name, file, words) {
	const done = drsim(...words);

	tally.saw('run');
	if (done.status === 0 && existsSync(file))
		return [{ name, file }];
	tally.finding('run', name, `drsim ${words[0]}: exit ${done.status ?? done.signal}: ${done.stderr}`);
	return [];
}

// A real drill takes minutes: its page comes from a record that the tests have, without events.
function injected_page(tally) {
	const from = join(folder, 'injected_record'), to = join(folder, 'injected');

	cpSync('tests/golden/sample_injected', from, { recursive: true });
	writeFileSync(join(from, 'events.jsonl'), '');
	return one_page(tally, 'injected', join(to, 'report.html'), ['report', from, '--out', to]);
}

function evidence_page(tally, out) {
	const file = join(folder, 'evidence.html');

	if (!has('evidence')) {
		out('skipped: evidence.html, this drsim has no command evidence');
		return [];
	}
	return one_page(tally, 'evidence', file, ['evidence', ...RUNS.map((run) => join(folder, run.name)),
		join(folder, 'injected_record'), '--framework', 'dora', '-o', file]);
}

function trend_page(tally, out) {
	const file = join(folder, 'trend.html');

	if (!has('trend')) {
		out('skipped: trend.html, this drsim has no command trend');
		return [];
	}
	for (let night = 1; night <= NIGHTS; night++) {
		const slower = night > NIGHTS * 2 / 3 ? ['--set', 'recovery.switch=45s'] : [];
		const done = drsim('run', 'scenarios/gpu_loss.yaml', '--seed', String(night), ...slower, '--no-plots', '--quiet',
			'--out', join(folder, 'nights', String(night)));

		tally.saw('run');
		if (done.status !== 0)
			tally.finding('run', `night_${night}`, `exit ${done.status ?? done.signal}: ${done.stderr}`);
	}
	return one_page(tally, 'trend', file, ['trend', '--out', file]);
}
