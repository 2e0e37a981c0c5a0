"""One case of the official OpenAI Python SDK against BASE_URL, as JSON on stdout.

usage: sdk.py CASE, one of CASES below

The key is in API_KEY. An error of the SDK is a result too: its class, status,
code, type and request id.
"""

import json
import os
import sys

import openai


def client(**options):
    return openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], **options)


def ask(api, directive, **options):
    return api.chat.completions.create(
        model="gpt-4o", user="mock:" + directive, messages=[{"role": "user", "content": "Hello"}], **options
    )


def chat():
    raw = client().chat.completions.with_raw_response.create(
        model="gpt-4o", user="mock:usage=100,50;cached=40", messages=[{"role": "user", "content": "Hello"}]
    )
    answer = raw.parse()
    return {
        "text": answer.choices[0].message.content,
        "total_tokens": answer.usage.total_tokens,
        "cached_tokens": answer.usage.prompt_tokens_details.cached_tokens,
        "request_id": answer._request_id,
        "cost": raw.headers.get("x-tollgate-cost"),
    }


def read(stream):
    text, usage, chunks_without_choices = "", None, 0
    for chunk in stream:
        if not chunk.choices:
            chunks_without_choices += 1
        for choice in chunk.choices:
            text += choice.delta.content or ""
        if chunk.usage:
            usage = chunk.usage.total_tokens
    return {"text": text, "total_tokens": usage, "chunks_without_choices": chunks_without_choices}


def stream():
    return read(ask(client(), "usage=100,50", stream=True))


def stream_usage():
    return read(ask(client(), "usage=100,50", stream=True, stream_options={"include_usage": True}))


def respond(directive, **options):
    return client().responses.create(model="gpt-4o", user="mock:" + directive, input="Hello", **options)


def response():
    raw = client().responses.with_raw_response.create(
        model="gpt-4o", user="mock:usage=100,50;cached=40;reasoning=20", input="Hello"
    )
    answer = raw.parse()
    return {
        "text": answer.output_text,
        "total_tokens": answer.usage.total_tokens,
        "cached_tokens": answer.usage.input_tokens_details.cached_tokens,
        "reasoning_tokens": answer.usage.output_tokens_details.reasoning_tokens,
        "request_id": answer._request_id,
        "cost": raw.headers.get("x-tollgate-cost"),
    }


def response_events():
    text, last = "", None
    for event in respond("usage=100,50;tool-call=search", stream=True):
        text += event.delta if event.type == "response.function_call_arguments.delta" else ""
        last = event
    return {"text": text, "last": last.type, "total_tokens": last.response.usage.total_tokens, "name": last.response.output[0].name}


def response_stream():
    text = ""
    with client().responses.stream(model="gpt-4o", user="mock:usage=100,50", input="Hello") as stream:
        for event in stream:
            text += event.delta if event.type == "response.output_text.delta" else ""
        answer = stream.get_final_response()
    return {"text": text, "whole": answer.output_text, "total_tokens": answer.usage.total_tokens, "status": answer.status}


def response_goes_on():
    responses = client().responses
    first = respond("usage=100,50")
    second = respond("usage=100,50", previous_response_id=first.id)
    read = responses.retrieve(first.id)
    items = responses.input_items.list(first.id).data
    responses.delete(first.id)
    return {
        "previous": second.previous_response_id == first.id, "read": read.output_text == first.output_text,
        "items": len(items), "input": items[0].content[0].text,
    }


def response_compacted():
    api = client()
    raw = api.responses.with_raw_response.compact(model="gpt-4o", input="mock:usage=100,50 Hello")
    made = raw.parse()
    on = api.responses.create(model="gpt-4o", input=[item.to_dict() for item in made.output])
    return {
        "kinds": [item.type for item in made.output], "total_tokens": made.usage.total_tokens,
        "cost": raw.headers.get("x-tollgate-cost"), "text": on.output_text,
        "counted": api.responses.input_tokens.count(model="gpt-4o", input="Hello").input_tokens,
    }


def azure():
    api = openai.AzureOpenAI(
        azure_endpoint=os.environ["BASE_URL"].removesuffix("/v1"), api_key=os.environ["API_KEY"], api_version="2024-10-21"
    )
    return read(ask(api, "usage=100,50", stream=True, stream_options={"include_usage": True}))


def moderation():
    answer = client().moderations.create(input=["one", "two"])
    return {"model": answer.model, "results": len(answer.results)}


def response_quota():
    return respond("usage=1,1")


def response_stored():
    return respond("usage=1,1", previous_response_id="resp_1")


def embedding():
    answer = client().embeddings.create(model="text-embedding-3-small", input=["one", "two"], user="mock:usage=1000,0")
    return {
        "vectors": len(answer.data),
        "dimensions": len(answer.data[0].embedding),
        "total_tokens": answer.usage.total_tokens,
    }


def image():
    answer = client().images.generate(model="dall-e-3", prompt="A cat", n=1)
    return {"images": len(answer.data), "url": answer.data[0].url}


def quota():
    return ask(client(), "usage=1,1")


def bad_key():
    return ask(client(), "usage=1,1")


def timeout():
    return ask(client(timeout=0.5, max_retries=0), "hang")


CASES = [
    chat, stream, stream_usage, response, response_events, response_stream, response_goes_on, response_compacted,
    response_quota, response_stored, embedding, image, moderation, azure, quota, bad_key, timeout,
]


def main():
    case = {case.__name__: case for case in CASES}[sys.argv[1]]
    try:
        result = case()
    except openai.OpenAIError as error:
        result = {"error": type(error).__name__}
        for name in ("status_code", "code", "type", "request_id"):
            result[name] = getattr(error, name, None)
        result["body"] = getattr(error, "body", None)
    print(json.dumps(result))


main()
