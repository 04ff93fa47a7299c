"""llama.cpp's prompt processing, by the server that `xllamacpp` runs in this process: texts -> tokens per second."""

from __future__ import annotations

import xllamacpp
from peer import Job


def server(job: Job) -> xllamacpp.Server:
    """The model on as many threads as asked for, one prompt at a time, nothing remembered between prompts."""
    params = xllamacpp.CommonParams()
    params.model.path = job["model"]
    params.n_ctx, params.n_batch, params.n_ubatch = 4096, 2048, 512
    params.n_parallel, params.cache_prompt, params.cache_ram_mib = 1, False, 0
    params.n_gpu_layers, params.warmup = 0, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    return xllamacpp.Server(params)


def main() -> None:
    """Each text alone; a token is generated since the server always does, and not counted."""
    job = Job()
    running, tokens, seconds, each = server(job), 0, 0.0, []
    for text in job["texts"]:
        timings = running.handle_completions({"prompt": text, "n_predict": 1, "cache_prompt": False})["timings"]
        tokens += timings["prompt_n"]
        seconds += timings["prompt_ms"] / 1000
        each.append([timings["prompt_n"], timings["prompt_ms"] / 1000])
    facts = {"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds, "each": each}
    job.answer(("xllamacpp",), built_for=xllamacpp.get_system_info(), **facts)


if __name__ == "__main__":
    main()
