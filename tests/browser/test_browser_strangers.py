"""A page that another program serves on another port of this machine tries everything against a running cloud."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import served
from playwright.sync_api import Page

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.mailbox import mails
from spaceport.pipeline.contract import JobState

MINE = "evil.zip"
FORM = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nuploads/evil.zip\r\n--x--\r\n'


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    with EmbeddedCloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        yield cloud


def addresses(cloud: EmbeddedCloud) -> dict[str, list[str]]:
    """What a page may ask for with each method, if it knows or guesses all names."""
    deployment = deployment_of(cloud.access)
    aws, batch = cloud.access.endpoint, cloud.access.batch_endpoint
    api = cloud.access.client("apigateway").get_rest_apis()["items"][0]["id"]
    objects = f"{aws}/{deployment.uploads.name}"
    forged = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    credential = "X-Amz-Credential=000000000000%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z"
    calls = f"{aws}/restapis/{api}/v1/_user_request_"
    return {
        "GET": [
            aws,
            objects,
            f"{objects}/?list-type=2",
            f"{calls}/jobs",
            f"{aws}/_ministack/health",
            batch,
            f"{aws}/_ministack/ses/messages",
            f"{objects}/uploads/{MINE}?{forged}&{credential}",
        ],
        "POST": [
            objects,
            f"{calls}/start-job",
            f"{calls}/uploads",
            f"{aws}/_ministack/reset",
            f"{aws}/",
            f"{batch}/v1/submitjob",
            f"{batch}/v1/terminatejob",
            f"{aws}/?Action=CreateStack&StackName=evil&TemplateBody=%7B%7D",
        ],
        "PUT": [f"{objects}/uploads/{MINE}", f"{objects}/uploads/{MINE}?{forged}&{credential}"],
        "DELETE": [objects, f"{aws}/{deployment.bucket.name}"],
    }


def seen(cloud: EmbeddedCloud) -> Any:
    """All that a stranger could have changed."""
    deployment = deployment_of(cloud.access)
    client = cloud.access.client
    return (
        sorted(bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]),
        sorted(item.key for bucket in (deployment.uploads, deployment.bucket) for item in bucket.list_objects("")),
        sorted(item["StackName"] for item in client("cloudformation").list_stacks()["StackSummaries"]),
        [client("batch").list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
         for queue in deployment.queues for status in ("RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED")],
        [row.job_id for state in JobState for row in deployment.table.by_state(state)],
        mails(cloud.access),
    )  # fmt: skip


ATTACK = """
async ({addresses, form}) => {
    const answers = [];
    const attempt = async (name, url, options) => {
        try {
            const response = await fetch(url, options);
            answers.push([name, url, response.type === "opaque" ? "opaque" : response.status]);
        } catch (error) {
            answers.push([name, url, "failed"]);
        }
    };
    const element = (tag, properties, url) => new Promise(resolve => {
        const made = Object.assign(document.createElement(tag), properties);
        made.onload = () => { answers.push([tag, url, "loaded"]); resolve(); };
        made.onerror = () => { answers.push([tag, url, "failed"]); resolve(); };
        document.body.append(made);
        setTimeout(resolve, 3000);
    });
    for (const [method, urls] of Object.entries(addresses)) {
        for (const url of urls) {
            const body = method === "GET" || method === "DELETE" ? undefined : form;
            const type = body ? {"Content-Type": "multipart/form-data; boundary=x"} : {};
            await attempt(method, url, {method, body, headers: type});
            await attempt(`${method} with credentials`, url, {method, body, headers: type, credentials: "include"});
            await attempt(`${method} with headers`, url, {method, body,
                headers: {...type, Authorization: "AWS4-HMAC-SHA256 Credential=0", "x-spaceport-secret": "guess"}});
            if (method === "GET" || method === "POST")
                await attempt(`${method} no-cors`, url, {method, body, mode: "no-cors"});
        }
    }
    const all = [...addresses.GET, ...addresses.POST];
    await Promise.all(all.map(url => element("img", {src: url}, url)));
    await Promise.all(all.map(url => element("script", {src: url}, url)));
    for (const url of addresses.POST) {
        const frame = Object.assign(document.createElement("iframe"), {name: `frame${document.forms.length}`});
        const sent = Object.assign(document.createElement("form"),
            {method: "POST", action: url, target: frame.name, enctype: "multipart/form-data"});
        sent.append(Object.assign(document.createElement("input"), {name: "key", value: "uploads/evil.zip"}));
        document.body.append(frame, sent);
        await new Promise(resolve => { frame.onload = resolve; sent.submit(); setTimeout(resolve, 3000); });
        navigator.sendBeacon(url, form);
    }
    for (const url of all)
        await new Promise(resolve => {
            const socket = new WebSocket(url.replace("http", "ws"));
            socket.onopen = () => { answers.push(["websocket", url, "open"]); resolve(); };
            socket.onclose = socket.onerror = () => { answers.push(["websocket", url, "failed"]); resolve(); };
            setTimeout(resolve, 3000);
        });
    return answers;
}
"""


@pytest.mark.slow
def test_a_page_on_another_port_reads_and_changes_nothing(page: Page, embedded: EmbeddedCloud, tmp_path: Path) -> None:
    statuses: list[tuple[int, str]] = []
    page.on("response", lambda response: statuses.append((response.status, response.url)))
    before = seen(embedded)
    (tmp_path / "page.html").write_text("<!doctype html><title>a game</title>")
    with served(tmp_path) as stranger:
        for host in (stranger, stranger.replace("127.0.0.1", "localhost")):
            page.goto(f"{host}/models/page.html")
            answers = page.evaluate(ATTACK, {"addresses": addresses(embedded), "form": FORM.decode()})
            assert len(answers) > 80
            assert {answer for _, _, answer in answers} <= {"failed", "opaque", 403}, answers
    cloud = (embedded.access.endpoint, embedded.access.batch_endpoint)
    reached = {status for status, url in statuses if url.startswith(cloud)}
    assert 403 in reached
    assert reached <= {403, 501}, "Batch knows no GET"
    assert seen(embedded) == before
    with urllib.request.urlopen(embedded.access.ministack_request("/_ministack/health"), timeout=60) as health:
        assert json.load(health), "and the cloud is well"
