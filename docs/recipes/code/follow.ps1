# Follow the events of vSphere, from where the last run ended. PowerShell 7. VSTREAM_TOKEN_FILE names
# the file with a token, if the server wants one.
#   ./follow.ps1 -Server http://localhost:8080 -Place place.txt -Query 'severity=error,warning'
param([string]$Server = 'http://localhost:8080', [string]$Place = 'place.txt', [string]$Query = '')

$resume = $null
while ($true) {
    $cursor = if (Test-Path $Place) { (Get-Content $Place -Raw).Trim() } else { '~' } # before everything
    $path = if ($resume) { $resume } else { "/api/v1/events?cursor=$cursor&wait=60&limit=500" + $(if ($Query) { "&$Query" }) }
    $headers = if ($env:VSTREAM_TOKEN_FILE) { @{ Authorization = 'Bearer ' + (Get-Content $env:VSTREAM_TOKEN_FILE -Raw).Trim() } } else { @{} }
    try {
        $answer = Invoke-WebRequest -Uri "$Server$path" -Headers $headers -SkipHttpErrorCheck -TimeoutSec 90
    } catch {
        Write-Warning "${Server}: $_; trying again" # it is away, or restarts
        Start-Sleep 2
        continue
    }
    $text = [Text.Encoding]::UTF8.GetString($answer.RawContentStream.ToArray()) # .Content may take it for Latin-1
    switch ($answer.StatusCode) {
        200 {
            foreach ($event in @($text | ConvertFrom-Json -Depth 100)) {
                '{0} {1:o} {2} {3}' -f $event.id, $event.time, $event.severity, $event.data.FullFormattedMessage # what you do with it
            }
            Set-Content "$Place.new" $answer.Headers['Stream-Next-Cursor'][0]
            Move-Item "$Place.new" $Place -Force
            $resume = $null
        }
        410 { # the log has dropped what came next: say so, and take what there is
            $problem = $text | ConvertFrom-Json
            Write-Warning "missed up to $($problem.missed) events"
            $resume = $problem.resume
        }
        { $_ -in 204, 429 -or $_ -ge 500 } { Start-Sleep 2 }
        default { throw "$Server answers $($answer.StatusCode): $text" } # it does not pass by itself
    }
}
