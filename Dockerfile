# One image for every process of Florin; docker-compose.yml says which one a container runs.
FROM python:3.12-slim-bookworm AS packages
COPY requirements.lock /tmp/requirements.lock
RUN python -m venv /opt/florin \
    && /opt/florin/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.lock

FROM python:3.12-slim-bookworm
COPY --from=packages /opt/florin /opt/florin
WORKDIR /srv/florin
COPY contracts contracts
COPY wallet_node wallet_node
COPY api api
COPY scripts scripts
RUN /opt/florin/bin/python scripts/checkout/link_checkout.py \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin florin \
    && for name in chain manifests run postgres central-bank bank-a bank-b; do \
        install -d -m 0700 -o florin -g florin "/data/$name" "/data/$name/wallet-node"; done \
    && chown florin:florin /data
ENV PATH=/opt/florin/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER florin
CMD ["florin", "--help"]
