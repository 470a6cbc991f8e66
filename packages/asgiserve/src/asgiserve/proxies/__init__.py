"""What proxies say of the clients behind them, and which proxies are believed."""
